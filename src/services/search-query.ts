/*
 * The language of searchChats' query. Nothing that can be written is an error: what is no operator, or
 * an operator with a value that cannot be read, is searched for as it stands.
 */

/** What a part of a query was understood as. */
export type TermKind = 'WORD' | 'PHRASE' | 'FROM' | 'BEFORE' | 'AFTER' | 'ON' | 'MOOD' | 'HAS';

export interface SearchTerm {
  readonly kind: TermKind;
  /** The text to search for; the operator's value in its one spelling, as `2026-06-01` or `negative`. */
  readonly value: string;
  /** Whether it stands behind a minus: what fits it is left out. */
  readonly excluded: boolean;
  /** Where it stands in the query with all that belongs to it, in UTF-16 code units. */
  readonly start: number;
  readonly end: number;
}

export type SearchMood = 'POSITIVE' | 'NEUTRAL' | 'NEGATIVE';

/** What the operators of a query ask for, all at once. */
export interface Narrowed {
  /** In which of the two texts words and phrases are looked for. */
  readonly within: 'BOTH' | 'MESSAGE' | 'RESPONSE';
  /** from <= createdAt < to. */
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  readonly moods?: readonly SearchMood[] | undefined;
  readonly hasPersonalityContext?: boolean | undefined;
}

const MOODS: readonly SearchMood[] = ['POSITIVE', 'NEUTRAL', 'NEGATIVE'];

/** The value of an operator in its one spelling; undefined if it cannot be read. */
const READERS = {
  from: oneOf('me', 'reply'),
  before: readSpan,
  after: readSpan,
  on: readSpan,
  mood: oneOf(...MOODS.map((mood) => mood.toLowerCase())),
  has: oneOf('personality'),
} as const;

type Operator = keyof typeof READERS;

/** A minus before another one would be no more than a turned bound, or the other text. */
const CAN_BE_EXCLUDED: ReadonlySet<Operator> = new Set(['mood', 'has']);

/**
 * Phrases between double quotes, of which the last need not be closed, and what stands between blanks. A
 * phone writes its quotes curled.
 */
const PARTS = /(-?)["“”„]([^"“”„]*)["“”„]?|[^\s"“”„]+/g;

/** The parts of a query in their order; blanks, and quotes around nothing, are none. */
export function parseQuery(query: string): SearchTerm[] {
  const terms: SearchTerm[] = [];
  for (const { 0: text, 1: minus, 2: phrase, index: start } of query.matchAll(PARTS)) {
    const place = { start, end: start + text.length };
    if (phrase === undefined) terms.push({ ...readWord(text), ...place });
    else if (phrase.trim() !== '')
      terms.push({ kind: 'PHRASE', value: phrase, excluded: minus !== '', ...place });
  }
  return terms;
}

function readWord(word: string): Pick<SearchTerm, 'kind' | 'value' | 'excluded'> {
  const [, minus, name = '', value = ''] = /^(-?)([a-z]+):(.+)$/i.exec(word) ?? [];
  const operator = name.toLowerCase();
  const excluded = minus === '-';
  if (isOperator(operator) && (!excluded || CAN_BE_EXCLUDED.has(operator))) {
    const read = READERS[operator](value);
    if (read !== undefined) {
      return { kind: operator.toUpperCase() as Uppercase<Operator>, value: read, excluded };
    }
  }
  // Two of them are how options of programs are written.
  return /^-[^-]/.test(word)
    ? { kind: 'WORD', value: word.slice(1), excluded: true }
    : { kind: 'WORD', value: word, excluded: false };
}

const isOperator = (name: string): name is Operator => Object.hasOwn(READERS, name);

function oneOf(...values: string[]) {
  return (text: string) => values.find((value) => value === text.toLowerCase());
}

function readSpan(text: string): string | undefined {
  if (!/^\d{4}(-\d\d?){0,2}$/.test(text)) return undefined;
  const value = text.replace(/-(\d)(?!\d)/g, '-0$1');
  return spanOf(value) && value;
}

/**
 * The day (2026-06-01), month (2026-06) or year (2026) in UTC; undefined if there is none, or one that
 * begins or ends outside of the years that an instant is written with.
 */
function spanOf(value: string): { readonly from: Date; readonly to: Date } | undefined {
  const from = new Date(`${value}T00:00Z`);
  if (Number.isNaN(from.getTime()) || !from.toISOString().startsWith(value)) return undefined;
  const to = new Date(from);
  if (value.length === 4) to.setUTCFullYear(to.getUTCFullYear() + 1);
  else if (value.length === 7) to.setUTCMonth(to.getUTCMonth() + 1);
  else to.setUTCDate(to.getUTCDate() + 1);
  return from.getUTCFullYear() >= 1 && to.getUTCFullYear() <= 9999 ? { from, to } : undefined;
}

/**
 * The operators' part of a query. Bounds of time meet in the narrowest; several moods, or both texts, are
 * any of them.
 */
export function narrowedBy(terms: readonly SearchTerm[]): Narrowed {
  const bounds: { from?: Date | undefined; to?: Date | undefined } = {};
  for (const { kind, value } of terms) {
    const span = kind === 'BEFORE' || kind === 'AFTER' || kind === 'ON' ? spanOf(value) : undefined;
    if (!span) continue;
    // before, on and after the same day never meet, and leave nothing out.
    if (kind !== 'BEFORE') bounds.from = later(bounds.from, kind === 'ON' ? span.from : span.to);
    if (kind !== 'AFTER') bounds.to = earlier(bounds.to, kind === 'ON' ? span.to : span.from);
  }
  const of = (kind: TermKind, excluded: boolean) =>
    terms.filter((term) => term.kind === kind && term.excluded === excluded);
  const texts = new Set(of('FROM', false).map(({ value }) => value));
  const [has, hasNot] = [of('HAS', false).length > 0, of('HAS', true).length > 0];
  return {
    ...bounds,
    within: texts.size !== 1 ? 'BOTH' : texts.has('me') ? 'MESSAGE' : 'RESPONSE',
    // Who asks for both of two opposites asks for nothing that there is.
    moods: has && hasNot ? [] : moodsOf(of('MOOD', false), of('MOOD', true)),
    hasPersonalityContext: has === hasNot ? undefined : has,
  };
}

function moodsOf(wanted: readonly SearchTerm[], unwanted: readonly SearchTerm[]) {
  if (wanted.length + unwanted.length === 0) return undefined;
  const are = (terms: readonly SearchTerm[], mood: string) =>
    terms.some(({ value }) => value === mood.toLowerCase());
  return MOODS.filter((mood) => (wanted.length === 0 || are(wanted, mood)) && !are(unwanted, mood));
}

/** The narrower of two bounds, of which either may be missing. */
export const later = (a: Date | undefined, b: Date | undefined): Date | undefined =>
  a && b ? (a > b ? a : b) : (a ?? b);
export const earlier = (a: Date | undefined, b: Date | undefined): Date | undefined =>
  a && b ? (a < b ? a : b) : (a ?? b);
