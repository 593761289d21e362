import type { Claims } from '../db/database.ts';
import type { MessageRow, MessageStore, Position } from '../db/messages.ts';
import { badInput } from '../errors.ts';
import { type ChatFilter, checkFilter, checkSize, type Page } from './history.ts';
import { checkText } from './input.ts';
import {
  earlier,
  later,
  type Narrowed,
  narrowedBy,
  parseQuery,
  type SearchTerm,
} from './search-query.ts';

export type { SearchTerm };

export interface SearchRequest {
  readonly query: string;
  readonly filter?: ChatFilter | null | undefined;
  readonly first?: number | null | undefined;
  readonly after?: Position | undefined;
}

export interface Highlight {
  readonly field: 'MESSAGE' | 'RESPONSE';
  /** UTF-16 code units, as `slice(start, end)` counts. */
  readonly start: number;
  readonly end: number;
}

export interface SearchHit {
  readonly row: MessageRow;
  readonly approximate: boolean;
  readonly highlights: () => Highlight[];
}

export interface SearchPage extends Page {
  /** As the rows, one by one. */
  readonly hits: readonly SearchHit[];
  readonly understood: readonly SearchTerm[];
}

const MAX_QUERY = 200;

/** At most so many a field: one letter can stand ten thousand times in a text. */
const MAX_HIGHLIGHTS = 200;

/** The exchanges that fit all of the query, in the language of search-query.ts, newest first. */
export async function searchPage(
  messages: MessageStore,
  viewer: Claims,
  { query, filter, first, after }: SearchRequest,
): Promise<SearchPage> {
  const understood = parseQuery(checkText('query', query, MAX_QUERY));
  if (understood.length === 0) throw badInput('query', 'There is no word to search for.');
  const narrowed = narrowedBy(understood);
  const needles = needlesOf(understood, false);
  const { seq, hits, hasMore } = await messages.search(viewer, {
    size: checkSize('first', first ?? 20),
    order: 'NEWEST',
    place: after,
    needles,
    excluded: needlesOf(understood, true),
    within: narrowed.within,
    ...both(checkFilter(filter), narrowed),
  });
  const highlightsOf = ({ message, response }: MessageRow) => [
    ...(narrowed.within === 'RESPONSE' ? [] : highlight('MESSAGE', message, needles)),
    ...(narrowed.within === 'MESSAGE' ? [] : highlight('RESPONSE', response, needles)),
  ];
  return {
    seq,
    rows: hits.map(({ row }) => row),
    hits: hits.map(({ row, approximate }) => ({
      row,
      approximate,
      highlights: () => highlightsOf(row),
    })),
    understood,
    hasNext: hasMore,
    hasPrevious: after !== undefined,
  };
}

/** The words and phrases, each once. */
function needlesOf(terms: readonly SearchTerm[], excluded: boolean): string[] {
  const texts = terms.filter(
    (term) => (term.kind === 'WORD' || term.kind === 'PHRASE') && term.excluded === excluded,
  );
  return [...new Set(texts.map(({ value }) => value))];
}

type Bounds = ReturnType<typeof checkFilter>;

/** What fits the filter and the operators of the query. */
function both(filter: Bounds, query: Narrowed): Bounds {
  const { moods = query.moods, hasPersonalityContext = query.hasPersonalityContext } = filter;
  const areOpposites =
    query.hasPersonalityContext !== undefined &&
    query.hasPersonalityContext !== hasPersonalityContext;
  return {
    from: later(filter.from, query.from),
    to: earlier(filter.to, query.to),
    moods: areOpposites ? [] : moods?.filter((mood) => query.moods?.includes(mood) ?? true),
    hasPersonalityContext,
  };
}

function highlight(field: Highlight['field'], text: string, terms: readonly string[]): Highlight[] {
  const { folded, origin } = fold(text);
  const found: { start: number; end: number }[] = [];
  for (const term of terms) {
    const needle = fold(term).folded;
    let at = folded.indexOf(needle);
    for (let n = 0; at !== -1 && n < MAX_HIGHLIGHTS; n += 1) {
      found.push({ start: at, end: at + needle.length });
      at = folded.indexOf(needle, at + needle.length);
    }
  }
  found.sort((a, b) => a.start - b.start || b.end - a.end);
  const merged: { start: number; end: number }[] = [];
  for (const range of found) {
    const last = merged.at(-1);
    if (last && range.start < last.end) last.end = Math.max(last.end, range.end);
    else merged.push({ ...range });
  }
  return merged
    .slice(0, MAX_HIGHLIGHTS)
    .map(({ start, end }) => ({ field, start: origin(start), end: origin(end) }));
}

/**
 * The text as chatkeep.fold() in drizzle/ compares it, and where a place in it stands in the original.
 * Only İ becomes longer when it is lowered (Unicode's SpecialCasing.txt), so the same length means
 * the same places.
 */
function fold(text: string): { folded: string; origin: (index: number) => number } {
  const folded = text.toLowerCase().replaceAll('ς', 'σ');
  if (folded.length === text.length) return { folded, origin: (index) => index };
  const origins: number[] = [];
  let at = 0;
  for (const character of text) {
    for (let i = 0; i < character.toLowerCase().length; i += 1) {
      origins.push(at + Math.min(i, character.length - 1));
    }
    at += character.length;
  }
  // The end of a range that stops inside of an İ is the end of that İ.
  const origin = (index: number) => {
    const here = origins[index] ?? text.length;
    return index > 0 && origins[index - 1] === here ? here + 1 : here;
  };
  return { folded, origin };
}
