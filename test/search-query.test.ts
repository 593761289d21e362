import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { without } from '../web/src/search/without.ts';
import { narrowedBy, parseQuery, type SearchTerm } from '../src/services/search-query.ts';

/** A term in one of the ways in which it can be written. */
function written({ kind, value, excluded }: Pick<SearchTerm, 'kind' | 'value' | 'excluded'>) {
  const text =
    kind === 'WORD' ? value : kind === 'PHRASE' ? `"${value}"` : `${kind.toLowerCase()}:${value}`;
  return excluded ? `-${text}` : text;
}

const understood = (query: string) =>
  parseQuery(query).map(({ kind, value, excluded }) => ({ kind, value, excluded }));

/** In short: `-WORD x`. */
const read = (query: string) =>
  understood(query).map(({ kind, value, excluded }) => `${excluded ? '-' : ''}${kind} ${value}`);

/** Whatever can be typed, with much of what the language is made of. */
const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(
      ...[' ', '"', '“', '-', ':', 'from:', 'me', 'BEFORE:', 'on:', '2026', '-06', '-31'],
      ...['mood:', 'negative', 'has:', 'personality', 'x', 'é', '🙂', '\u00a0'],
    ),
  }),
);

describe('a query', () => {
  it('is never refused, and all of it is in some term but blanks and quotes around nothing', () => {
    fc.assert(
      fc.property(anything, (query) => {
        let at = 0;
        for (const { start, end, value } of parseQuery(query)) {
          expect(query.slice(at, start)).toMatch(/^(\s|-?["“”„]\s*["“”„]?)*$/u);
          expect(end).toBeGreaterThan(start);
          expect(value.trim()).not.toBe('');
          at = end;
        }
        expect(query.slice(at)).toMatch(/^(\s|-?["“”„]\s*["“”„]?)*$/u);
        narrowedBy(parseQuery(query));
      }),
      { numRuns: 2_000 },
    );
  });

  it('says where each term stands, which by itself is understood alike', () => {
    fc.assert(
      fc.property(anything, (query) => {
        for (const { start, end, kind, value, excluded } of parseQuery(query)) {
          expect(understood(query.slice(start, end))).toEqual([{ kind, value, excluded }]);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('is the same without a term but for that one', () => {
    fc.assert(
      fc.property(anything, fc.nat(), (query, which) => {
        const terms = parseQuery(query);
        fc.pre(terms.length > 0);
        const term = terms[which % terms.length] as SearchTerm;
        const others = understood(query).filter((_, i) => i !== which % terms.length);
        expect(understood(without(query, term))).toEqual(others);
      }),
      { numRuns: 2_000 },
    );
  });

  const pad = (n: number) => String(n).padStart(2, '0');
  const day = fc
    .tuple(fc.integer({ min: 1, max: 9998 }), fc.nat(12), fc.nat(28))
    .map(([year, month, date]) =>
      [String(year).padStart(4, '0'), month && pad(month), month && date && pad(date)]
        .filter(Boolean)
        .join('-'),
    );
  const term = fc.oneof(
    fc.record({
      kind: fc.constant('WORD' as const),
      value: fc.stringMatching(/^[^\s"“”„:-][^\s"“”„:]*$/),
      excluded: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('PHRASE' as const),
      value: fc.stringMatching(/^[^"“”„]*[^\s"“”„][^"“”„]*$/),
      excluded: fc.boolean(),
    }),
    fc.record({
      kind: fc.constantFrom('BEFORE' as const, 'AFTER' as const, 'ON' as const),
      value: day,
      excluded: fc.constant(false),
    }),
    fc.record({
      kind: fc.constant('FROM' as const),
      value: fc.constantFrom('me', 'reply'),
      excluded: fc.constant(false),
    }),
    fc.record({
      kind: fc.constant('MOOD' as const),
      value: fc.constantFrom('positive', 'neutral', 'negative'),
      excluded: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('HAS' as const),
      value: fc.constant('personality'),
      excluded: fc.boolean(),
    }),
  );

  it('gives back the terms that it was written from', () => {
    fc.assert(
      fc.property(fc.array(term), (terms) => {
        expect(understood(terms.map(written).join(' '))).toEqual(terms);
      }),
    );
  });

  it('is text where no operator is, or its value cannot be read', () => {
    const name = fc.stringMatching(/^[A-Za-z]{1,8}$/);
    const known = /^(from|before|after|on|mood|has)$/i;
    fc.assert(
      fc.property(name, fc.stringMatching(/^[^\s"“”„]*$/), (operator, value) => {
        fc.pre(!known.test(operator));
        expect(read(`${operator}:${value}`)).toEqual([`WORD ${operator}:${value}`]);
      }),
    );
    for (const query of [
      ...['before:soon', 'after:2026-02-30', 'on:2026-13', 'on:2026-00', 'before:26-01-01'],
      ...['on:0000', 'on:9999', 'on:9999-12-31', 'on:2026-06-011', 'on:2026-', 'from:you'],
      ...[
        'from:',
        'mood:fine',
        'has:hope',
        'has:',
        ':',
        'https://example.org/?on:2026',
        'x:from:me',
      ],
      ...['constructor:x', '__proto__:x', '-', '--', '--force', '—', 'a-b'],
    ]) {
      expect(read(query)).toEqual([`WORD ${query}`]);
    }
  });

  it.each([
    ['weather LISBON', ['WORD weather', 'WORD LISBON']],
    ['red" green', ['WORD red', 'PHRASE  green']],
    ['“as it stands” after', ['PHRASE as it stands', 'WORD after']],
    ['a"b"-"c"d', ['WORD a', 'PHRASE b', '-PHRASE c', 'WORD d']],
    ['-rain -"cats and dogs" -', ['-WORD rain', '-PHRASE cats and dogs', 'WORD -']],
    ['From:Me from:REPLY', ['FROM me', 'FROM reply']],
    ['before:2026-6-1 on:2026-06 after:2026', ['BEFORE 2026-06-01', 'ON 2026-06', 'AFTER 2026']],
    ['-from:me -before:2026', ['-WORD from:me', '-WORD before:2026']],
    ['mood:Negative -mood:neutral', ['MOOD negative', '-MOOD neutral']],
    ['has:personality -HAS:personality', ['HAS personality', '-HAS personality']],
    ['mood:"negative"', ['WORD mood:', 'PHRASE negative']],
    ['"" -" " “', []],
  ])('%s is %j', (query, terms) => {
    expect(read(query)).toEqual(terms);
  });
});

describe('the operators of a query', () => {
  const narrowed = (query: string) => narrowedBy(parseQuery(query));
  const bounds = (query: string) => {
    const { from, to } = narrowed(query);
    return [from, to].map((bound) => bound?.toISOString().replace(':00.000Z', 'Z') ?? '');
  };

  it.each([
    ['words', ['', '']],
    ['before:2026-06-01', ['', '2026-06-01T00:00Z']],
    ['on:2026-06-01', ['2026-06-01T00:00Z', '2026-06-02T00:00Z']],
    ['after:2026-06-01', ['2026-06-02T00:00Z', '']],
    ['on:2024-02', ['2024-02-01T00:00Z', '2024-03-01T00:00Z']],
    ['after:2026-12', ['2027-01-01T00:00Z', '']],
    ['on:2026 before:2026-03', ['2026-01-01T00:00Z', '2026-03-01T00:00Z']],
    ['after:2025 after:2024 before:2027 before:2028', ['2026-01-01T00:00Z', '2027-01-01T00:00Z']],
    ['on:0001 before:9998-12-31', ['0001-01-01T00:00Z', '0002-01-01T00:00Z']],
  ])('%s is from and to %j', (query, expected) => {
    expect(bounds(query)).toEqual(expected);
  });

  it('before, on and after a day are all of time, and each instant is in one of them', () => {
    const value = fc.constantFrom('2026-06-01', '2024-02-29', '2025-12', '2026');
    const instant = fc.date({
      min: new Date('2023-01-01'),
      max: new Date('2028-01-01'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(value, instant, (day, at) => {
        const fitting = ['before', 'on', 'after'].filter((operator) => {
          const { from, to } = narrowed(`${operator}:${day}`);
          return (!from || from <= at) && (!to || at < to);
        });
        expect(fitting).toHaveLength(1);
        if (at.toISOString().startsWith(day)) expect(fitting).toEqual(['on']);
      }),
    );
  });

  it.each([
    ['x', undefined],
    ['mood:negative', ['NEGATIVE']],
    ['mood:negative mood:positive', ['POSITIVE', 'NEGATIVE']],
    ['-mood:neutral', ['POSITIVE', 'NEGATIVE']],
    ['mood:neutral -mood:neutral', []],
    ['has:personality -has:personality', []],
  ])('%s is of the moods %j', (query, moods) => {
    expect(narrowed(query).moods).toEqual(moods);
  });

  it('tell in which text to look, and whether there was a personality', () => {
    expect(narrowed('x').within).toBe('BOTH');
    expect(narrowed('x from:me').within).toBe('MESSAGE');
    expect(narrowed('from:reply x from:reply').within).toBe('RESPONSE');
    expect(narrowed('from:me from:reply').within).toBe('BOTH');
    expect(narrowed('x').hasPersonalityContext).toBe(undefined);
    expect(narrowed('has:personality').hasPersonalityContext).toBe(true);
    expect(narrowed('-has:personality').hasPersonalityContext).toBe(false);
  });
});
