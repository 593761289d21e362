import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fold } from '../src/services/fold.ts';
import { highlightsIn, snippetOf, type Text } from '../src/services/snippet.ts';

const text = (message: string, response = ''): [Text, Text] => [
  { field: 'MESSAGE', text: message },
  { field: 'RESPONSE', text: response },
];

const snippet = (message: string, needles: string[], response = '') =>
  snippetOf(text(message, response), needles);

/** A snippet as a reader sees it: `… the [sea] and …`. */
function shown(message: string, needles: string[], response = ''): string {
  const { text: part, hasBefore, hasAfter, highlights } = snippet(message, needles, response);
  const marked = highlights
    .toReversed()
    .reduce(
      (all, { start, end }) => `${all.slice(0, start)}[${all.slice(start, end)}]${all.slice(end)}`,
      part,
    );
  return `${hasBefore ? '… ' : ''}${marked}${hasAfter ? ' …' : ''}`;
}

const marks = (message: string, needles: string[]) =>
  highlightsIn(text(message), needles).map(({ start, end }) => message.slice(start, end));

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });
const bordersOf = (original: string) =>
  new Set([...[...segmenter.segment(original)].map(({ index }) => index), original.length]);

const pieces = fc.constantFrom(
  ...[
    'a',
    'B',
    'sea ',
    'the ',
    ' ',
    '\n\n',
    '. ',
    '**',
    'İ',
    'ﬁ',
    'é',
    'e\u0301',
    ' \u0301',
    '\r\n',
  ],
  ...[
    '日',
    '本語',
    '。',
    '👩‍👩‍👧',
    '👍🏽',
    '🇩🇪',
    'שָׁ',
    'مُ',
    'क्ष',
    '가',
    '\u1100\u1161',
    'x'.repeat(50),
  ],
);
const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 600 }),
  fc.array(pieces, { maxLength: 400, size: 'max' }).map((parts) => parts.join('')),
);
const anyNeedle = fc.oneof(
  fc.constantFrom('a', 'sea', 'the sea', 'İ', 'fi', 'e', '日本', '👩', '🇩🇪', 'ש', 'xx', 'ksa'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }),
);
const needles = fc.array(anyNeedle, { maxLength: 4 });

describe('highlights', () => {
  it('are what a reader would mark', () => {
    expect(marks('A café, a CAFE and cafe\u0301s', ['Café'])).toEqual([
      'café',
      'CAFE',
      'cafe\u0301',
    ]);
    expect(marks('abcdef abc', ['cde', 'abcd'])).toEqual(['abcde']);
    expect(marks('👩‍👩‍👧 and 👩', ['👩'])).toEqual(['👩‍👩‍👧', '👩']);
    expect(marks('ﬁﬁ', ['i'])).toEqual(['ﬁ', 'ﬁ']);
    expect(marks('❤️ and ❤', ['❤️'])).toEqual(['❤️', '❤']);
  });

  it('hold what was looked for, in order, apart and from grapheme to grapheme', () => {
    fc.assert(
      fc.property(anyText, needles, (original, wanted) => {
        const borders = bordersOf(original);
        let at = 0;
        for (const { field, start, end } of highlightsIn(text(original), wanted)) {
          expect(field).toBe('MESSAGE');
          expect(start).toBeGreaterThanOrEqual(at);
          expect([borders.has(start), borders.has(end)]).toEqual([true, true]);
          const part = fold(original.slice(start, end));
          expect(wanted.some((needle) => fold(needle) !== '' && part.includes(fold(needle)))).toBe(
            true,
          );
          at = end;
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a snippet', () => {
  const filler = 'lorem ipsum dolor sit amet '.repeat(20);

  it('is all of a short text', () => {
    expect(shown('  the sea \n', ['sea'])).toBe('the [sea]');
    expect(shown('nothing of it', ['sea'])).toBe('nothing of it');
    expect(snippet('', ['sea'])).toEqual({
      field: 'MESSAGE',
      text: '',
      hasBefore: false,
      hasAfter: false,
      highlights: [],
    });
  });

  it('is around the place where most of the words are, from word to word', () => {
    const told = `the sea ${filler}here the lake and the sea meet ${filler}the lake the lake the lake`;
    const part = shown(told, ['sea', 'lake']);
    expect(part).toMatch(
      /^… (lorem|ipsum|dolor|sit|amet) .*here the \[lake\] and the \[sea\] meet/,
    );
    expect(part).toMatch(/(lorem|ipsum|dolor|sit|amet) …$/);
    expect(part.length).toBeGreaterThan(150);
    expect(part.length).toBeLessThan(210);
  });

  it('is where a word stands most often, if they are nowhere together', () => {
    expect(shown(`sea ${filler}sea, sea, sea${filler}`, ['sea'])).toContain('[sea], [sea], [sea]');
  });

  it('is of the text in which more of it is', () => {
    const { field, text: part } = snippet(`${filler}sea`, ['sea', 'lake'], `${filler}sea, lake`);
    expect([field, part.endsWith('sea, lake')]).toEqual(['RESPONSE', true]);
    expect(snippet('the sea', ['sea'], 'the sea').field).toBe('MESSAGE');
  });

  it('begins where the text does, if nothing was found', () => {
    expect(shown(filler, [])).toMatch(/^lorem .* …$/);
    expect(shown(filler, ['absent'])).toMatch(/^lorem .* …$/);
  });

  it('is as long as a phrase that is longer', () => {
    const phrase = 'x y '.repeat(50).trim();
    expect(shown(`${filler}${phrase} ${filler}`, [phrase])).toContain(`[${phrase}]`);
  });

  it('cuts a text without words between its letters', () => {
    const part = snippet(`${'😀'.repeat(300)}京都${'漢'.repeat(300)}`, ['京都']);
    expect(part.text.isWellFormed()).toBe(true);
    expect(part.highlights).toHaveLength(1);
    expect(part.text.length).toBeLessThanOrEqual(202);
  });

  it('is a part of the text from grapheme to grapheme, with what was found in it', () => {
    fc.assert(
      fc.property(anyText, anyText, needles, (message, response, wanted) => {
        const part = snippet(message, wanted, response);
        const original = part.field === 'MESSAGE' ? message : response;
        const borders = bordersOf(original);
        const places = [...borders].filter((at) => original.startsWith(part.text, at));
        expect(places.some((at) => borders.has(at + part.text.length))).toBe(true);
        expect(part.hasBefore || part.hasAfter).toBe(original.trim() !== part.text.trim());
        // A grapheme may be long, and what was found may be too.
        const longest = Math.max(
          0,
          ...wanted.map(({ length }) => length * 4),
          ...[...segmenter.segment(original)].map(({ segment }) => segment.length),
        );
        expect(part.text.length).toBeLessThanOrEqual(160 + 45 + longest);
        const all = highlightsIn(text(message, response), wanted);
        expect(part.highlights.length > 0).toBe(all.length > 0);
        for (const { start, end, field } of part.highlights) {
          expect(field).toBe(part.field);
          const found = fold(part.text.slice(start, end));
          expect(wanted.some((needle) => fold(needle) !== '' && found.includes(fold(needle)))).toBe(
            true,
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  it('shows all of the words where they are close together', () => {
    fc.assert(
      fc.property(
        anyText,
        anyText,
        fc.constantFrom('zebra', 'ÉTÉ', '鯨'),
        (before, after, word) => {
          const part = snippet(`${before} ${word} and quokka ${after}`, [word, 'quokka']);
          const found = part.highlights.map(({ start, end }) => part.text.slice(start, end));
          expect(found).toEqual(expect.arrayContaining([word, 'quokka']));
        },
      ),
    );
  });
});
