import { fold, foldWithOrigin } from './fold.ts';

/*
 * Where the words of a query stand in the texts of a hit, and the passage of them that is worth showing.
 */

/** UTF-16 code units, as `slice(start, end)` counts. */
interface Range {
  readonly start: number;
  readonly end: number;
}

export type SearchedText = 'MESSAGE' | 'RESPONSE';

export interface Highlight extends Range {
  readonly field: SearchedText;
}

export interface Snippet {
  readonly field: SearchedText;
  /** As it stands in the text, line breaks included. */
  readonly text: string;
  readonly hasBefore: boolean;
  readonly hasAfter: boolean;
  /** Counted from the snippet's beginning. */
  readonly highlights: readonly Highlight[];
}

export interface Text {
  readonly field: SearchedText;
  readonly text: string;
}

/** At most so many a text: one letter can stand ten thousand times in it. */
const MAX_HIGHLIGHTS = 200;

const SNIPPET = 160;
/** Where no word ends for so long, it is cut. */
const LONGEST_WORD = 40;

/** Where the needles stand in the texts, in order, as ranges that do not overlap. */
export const highlightsIn = (texts: readonly Text[], needles: readonly string[]): Highlight[] =>
  texts.flatMap(({ field, text }) => rangesIn(text, needles).map((range) => ({ field, ...range })));

/** The part of a text around the densest place: most of the needles, then most often. */
export function snippetOf(texts: readonly [Text, ...Text[]], needles: readonly string[]): Snippet {
  let [chosen, densest] = [texts[0], NOTHING];
  for (const text of texts) {
    const dense = densestIn(text.text, needles);
    if (compare(dense, densest) > 0) [chosen, densest] = [text, dense];
  }
  const { field, text } = chosen;
  const { start, end } = around(text, densest);
  const part = text.slice(start, end);
  return {
    field,
    text: part,
    hasBefore: text.slice(0, start).trim() !== '',
    hasAfter: text.slice(end).trim() !== '',
    highlights: highlightsIn([{ field, text: part }], needles),
  };
}

/** A place in a folded text, and which needle stands there. */
interface Place extends Range {
  readonly needle: number;
}

function placesIn(folded: string, needles: readonly string[]): Place[] {
  const places = needles.flatMap((text, needle) => {
    const length = fold(text).length;
    const found: Place[] = [];
    let start = folded.indexOf(fold(text));
    for (let n = 0; start !== -1 && length > 0 && n < MAX_HIGHLIGHTS; n += 1) {
      found.push({ start, end: start + length, needle });
      start = folded.indexOf(fold(text), start + length);
    }
    return found;
  });
  return places.sort((a, b) => a.start - b.start || b.end - a.end);
}

function rangesIn(text: string, needles: readonly string[]): Range[] {
  const folded = foldWithOrigin(text);
  const apart = merged(placesIn(folded.text, needles)).slice(0, MAX_HIGHLIGHTS);
  // What is widened to whole graphemes may touch again.
  return merged(apart.map(({ start, end }) => folded.origin(start, end)));
}

function merged(ranges: readonly Range[]): Range[] {
  const apart: { start: number; end: number }[] = [];
  for (const { start, end } of ranges) {
    const last = apart.at(-1);
    if (last && start < last.end) last.end = Math.max(last.end, end);
    else apart.push({ start, end });
  }
  return apart;
}

interface Density extends Range {
  readonly needles: number;
  readonly places: number;
}

const NOTHING: Density = { start: 0, end: 0, needles: 0, places: 0 };

const compare = (a: Density, b: Density): number => a.needles - b.needles || a.places - b.places;

/** The range in the text of what is found in it so close together that it fits into a snippet. */
function densestIn(text: string, needles: readonly string[]): Density {
  const folded = foldWithOrigin(text);
  const places = placesIn(folded.text, needles);
  const counts = new Map<number, number>();
  let best = NOTHING;
  let next = 0;
  for (const [first, { start, needle }] of places.entries()) {
    for (let place = places[next]; place; place = places[next]) {
      if (next > first && place.end - start > SNIPPET) break;
      counts.set(place.needle, (counts.get(place.needle) ?? 0) + 1);
      next += 1;
    }
    const end = Math.max(...places.slice(first, next).map((place) => place.end));
    const density = { start, end, needles: counts.size, places: next - first };
    if (compare(density, best) > 0) best = density;
    const left = (counts.get(needle) ?? 0) - 1;
    if (left > 0) counts.set(needle, left);
    else counts.delete(needle);
  }
  return best === NOTHING ? NOTHING : { ...best, ...folded.origin(best.start, best.end) };
}

/** What is around a range, as long as a snippet is, or as the range if that is longer. */
function around(text: string, range: Range): Range {
  const borders = bordersOf(text);
  const room = Math.max(0, SNIPPET - (range.end - range.start));
  const from = Math.max(0, Math.min(range.start - (room >> 1), text.length - SNIPPET));
  const start = from === 0 ? 0 : Math.min(borders.wordAt(from), range.start);
  const to = Math.max(from + SNIPPET, range.end);
  const end = to >= text.length ? text.length : Math.max(borders.wordAt(to), range.end);
  return borders.withoutBlanks({ start, end });
}

const words = new Intl.Segmenter('und', { granularity: 'word' });
const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });

function bordersOf(text: string) {
  const whole = graphemes.segment(text);
  /** Where the grapheme begins that a place is in. */
  const graphemeAt = (place: number) => whole.containing(place)?.index ?? text.length;
  return {
    /** Where the word begins that a place is in; of a long one, the grapheme. */
    wordAt(place: number): number {
      const from = graphemeAt(Math.max(0, place - LONGEST_WORD));
      const nearby = text.slice(from, place + LONGEST_WORD);
      const word = words.segment(nearby).containing(place - from)?.index ?? 0;
      return graphemeAt(word > 0 ? from + word : place);
    },
    withoutBlanks({ start, end }: Range): Range {
      const part = text.slice(start, end);
      const last = start + part.trimEnd().length;
      const first = Math.min(end - part.trimStart().length, last);
      // A mark may stand on a blank.
      return { start: graphemeAt(first) === first ? first : start, end: last };
    },
  };
}
