import fc from 'fast-check';
import type { Context, Term } from './history.ts';
import type { Seeded } from './world.ts';

/* What is said, asked for and replied. */

/** By VADER's own figures: these sentences with words behind them that its lexicon does not have. */
const OPENINGS = [
  { text: 'I love this', mood: 'POSITIVE', moodScore: 0.6369 },
  { text: 'Look at this', mood: 'NEUTRAL', moodScore: 0 },
  { text: 'I hate this', mood: 'NEGATIVE', moodScore: -0.5719 },
] as const;
export const opening = fc.constantFrom(...OPENINGS);

export const WORDS = ['red', 'green', 'Blue', 'GARDEN', '100%', 'a_b', 'c\\d', 'Äpfel', 'ПРИВЕТ'];
export const words = fc.array(fc.constantFrom(...WORDS), { maxLength: 4 });
/** Of what a held reply has said already: no term is in it. */
export const HELD = 'zzz ';

const TERMS = [
  'red',
  'GREEN',
  'blue',
  'gard',
  '%',
  '_',
  '\\',
  'äPFEL',
  'привет',
  'e',
  'I love',
  '#',
];
export const term = fc.oneof(
  fc
    .constantFrom(...TERMS.filter((text) => !text.includes(' ')))
    .map((text): Term => ({ text, isQuoted: false })),
  fc
    .oneof(
      fc.constantFrom(...TERMS),
      fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS)),
    )
    .map((text): Term => ({ text: String(text).replace(',', ' '), isQuoted: true })),
);
export const queryOf = (terms: readonly Term[]) =>
  terms.map(({ text, isQuoted }) => (isQuoted ? `"${text}"` : text)).join(' ');

export const context = fc.constantFrom<Context | undefined>(
  undefined,
  undefined,
  null,
  { tone: 'kind' },
  { tone: 'dry' },
);

/** How the model replies. */
export const reply = fc.record({
  words: fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 4 }),
  end: fc.constantFrom('STOP', 'STOP', 'STOP', 'MAX_TOKENS', 'none', 'cut', 'blocked', 'refused'),
});
export type Reply = typeof reply extends fc.Arbitrary<infer R> ? R : never;

const INSTANTS = [
  '2026-04-30T23:30:00.500000',
  ...Array.from({ length: 3 }, () => '2026-05-01T12:00:00.123456'),
  '2026-05-01T12:00:00.123457',
];

/** What another program has written before: several of one instant, where only the id tells the order. */
export const seeds = fc
  .uniqueArray(
    fc.record({
      // Another id is no simpler one, and there are many.
      id: fc.noShrink(fc.uuid()),
      at: fc.constantFrom(...INSTANTS),
      opening,
      words,
      response: words,
      tone: fc.constantFrom(null, 'old'),
      status: fc.constantFrom('COMPLETE' as const, 'FAILED' as const),
    }),
    { maxLength: 8, selector: ({ id }) => id },
  )
  .map((rows) =>
    rows.map(({ opening: { text, mood, moodScore }, words, response, id, ...rest }): Seeded => {
      const message = [text, ...words, `#${id.slice(0, 8)}`].join(' ');
      return { ...rest, id, message, response: response.join(' '), mood, moodScore };
    }),
  );
