import fc from 'fast-check';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fold, foldWithOrigin } from '../src/services/fold.ts';
import { startServer, type TestServer } from './kit/server.ts';

/** What of a text a word is found in, first place only. */
function found(text: string, word: string): string | undefined {
  const folded = foldWithOrigin(text);
  const needle = fold(word);
  const at = folded.text.indexOf(needle);
  if (at === -1) return undefined;
  const { start, end } = folded.origin(at, at + needle.length);
  return text.slice(start, end);
}

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string({
    unit: fc.constantFrom(
      ...[
        'a',
        'E',
        'ﬁ',
        'İ',
        'ß',
        'Σ',
        'ς',
        'é',
        'e\u0301',
        '\u0301',
        '\u0323',
        'Å',
        '™',
        '½',
        ' ',
      ],
      ...['가', '\u1100', '\u1161', '\u11a8', '각', 'ｶ', 'ﾞ', 'が', 'か\u3099', 'שָׁ', 'ﭏ', 'مُ', 'ﻻ'],
      ...[
        '👩‍👩‍👧',
        '👍🏽',
        '🇩🇪',
        '\u200d',
        '𐐀',
        '\u0e33',
        '\u0e01',
        'क्ष',
        'ि',
        '\u{16d67}',
        '\r\n',
      ],
    ),
  }),
);

describe('folding in the database', () => {
  let server: TestServer;
  let admin: postgres.Sql;
  beforeAll(async () => {
    server = await startServer();
    admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
  });
  afterAll(async () => {
    await admin.end();
    await server.stop();
  });

  const inDatabase = async (texts: readonly string[]) => {
    const rows = await admin<{ folded: string }[]>`
      select chatkeep.fold(t) as folded from unnest(${texts}::text[]) with ordinality as u(t, n) order by n`;
    return rows.map(({ folded }) => folded);
  };
  const differing = (texts: readonly string[], folded: readonly string[]) =>
    texts.filter((text, i) => fold(text) !== folded[i]);

  /** All of Unicode that is assigned to a character, up to the third plane. */
  const characters = Array.from({ length: 0x30000 }, (_, point) =>
    String.fromCodePoint(point),
  ).filter((character) => character !== '\0' && /[^\p{Cs}\p{Cn}\p{Co}]/u.test(character));

  /** What came into Unicode after the version that PostgreSQL knows, or its ICU, it leaves as it is. */
  async function unknownCharacters(): Promise<Set<string>> {
    const rows = await admin<{ t: string; isAssigned: boolean; lower: string }[]>`
      select t, unicode_assigned(t) as "isAssigned", lower(t collate "und-x-icu") as lower
      from unnest(${characters}::text[]) as t`;
    const unknown = rows.filter(
      ({ t, isAssigned, lower }) => !isAssigned || (lower === t && t.toLowerCase() !== t),
    );
    return new Set(unknown.map(({ t }) => t));
  }

  it('is the same for every character, and for texts, and twice the same as once', async () => {
    const unknown = await unknownCharacters();
    expect(unknown.size).toBeLessThan(characters.length / 10);
    const texts = [
      ...characters,
      ...fc.sample(text, 3_000).map((one) => one.replaceAll('\0', '').toWellFormed()),
    ].filter((one) => !Array.from(one).some((character) => unknown.has(character)));
    expect(texts.length).toBeGreaterThan(100_000);
    const folded = await inDatabase(texts);
    expect(differing(texts, folded)).toEqual([]);
    expect(await inDatabase(folded)).toEqual(folded);
  });
});

describe('folding', () => {
  it.each([
    ['the Café', 'CAFE', 'Café'],
    ['cafe\u0301s', 'café', 'cafe\u0301'],
    ['CAFE', 'cafe\u0301', 'CAFE'],
    ['a ﬁne day', 'fi', 'ﬁ'],
    ['a ﬁne day', 'ine', 'ﬁne'],
    ['a ﬁne day', 'af', undefined],
    ['İİ Foo', 'foo', 'Foo'],
    ['İstanbul', 'istan', 'İstan'],
    ['ΟΔΟΣ', 'οδοσ', 'ΟΔΟΣ'],
    ['οδός', 'ΟΔΟΣ', 'οδός'],
    ['ＡＢＣ１２', 'abc1', 'ＡＢＣ１'],
    ['ｶﾞﾗｽ', 'ガラス', 'ｶﾞﾗｽ'],
    ['日本語の本', '本語', '本語'],
    ['한글', '한', '한'],
    ['한글 \u1112\u1161\u11ab', '글 한', '글 \u1112\u1161\u11ab'],
    ['שָׁלוֹם', 'שלום', 'שָׁלוֹם'],
    ['مُحَمَّد', 'محمد', 'مُحَمَّد'],
    ['Straße', 'STRASSE', undefined],
    ['I 👩‍👩‍👧 you', '👩', '👩‍👩‍👧'],
    ['Thumbs 👍🏽 up', '👍', '👍🏽'],
    ['👩‍👩‍👧 Foo', 'foo', 'Foo'],
    ['𐐀 x', '𐐨', '𐐀'],
  ])('finds in %j the word %j as %j', (original, word, part) => {
    expect(found(original, word)).toBe(part);
  });

  it('is of the text what it is of its pieces, and the same again', () => {
    fc.assert(
      fc.property(text, (original) => {
        expect(foldWithOrigin(original).text).toBe(fold(original));
        expect(fold(fold(original))).toBe(fold(original));
      }),
      { numRuns: 5_000 },
    );
  });

  it('comes from a part that holds it, from grapheme to grapheme', () => {
    const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(), (original, a, b) => {
        const folded = foldWithOrigin(original);
        fc.pre(folded.text.length > 0);
        const start = a % folded.text.length;
        const end = start + 1 + (b % (folded.text.length - start));
        const place = folded.origin(start, end);
        const part = original.slice(place.start, place.end);
        expect(fold(part)).toContain(
          folded.text.slice(start, end).replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, ''),
        );
        const borders = new Set([...graphemes.segment(original)].map(({ index }) => index));
        borders.add(original.length);
        expect([borders.has(place.start), borders.has(place.end)]).toEqual([true, true]);
      }),
      { numRuns: 5_000 },
    );
  });
});
