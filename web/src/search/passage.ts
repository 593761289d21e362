/** A run of a text, UTF-16 code units as `slice` counts them. */
interface Range {
  readonly start: number;
  readonly end: number;
}

export interface Part {
  readonly text: string;
  readonly isMarked: boolean;
}

const BEFORE = 50;
const LENGTH = 240;
/** Where no word ends for so long, it is cut. */
const LONGEST_WORD = 40;

const words = new Intl.Segmenter(undefined, { granularity: 'word' });

/** The part of a text around its first highlight, from word to word, with the highlights in it. */
export function passageOf(text: string, highlights: readonly Range[]): Part[] {
  const { start, end } = around(text, highlights[0] ?? { start: 0, end: 0 });
  const parts: Part[] = [];
  let at = start;
  for (const highlight of highlights) {
    if (highlight.start >= end) break;
    parts.push({ text: text.slice(at, highlight.start), isMarked: false });
    parts.push({ text: text.slice(highlight.start, highlight.end), isMarked: true });
    at = highlight.end;
  }
  parts.push({ text: text.slice(at, end), isMarked: false });
  if (start > 0) parts.unshift({ text: '… ', isMarked: false });
  if (end < text.length) parts.push({ text: ' …', isMarked: false });
  return parts.filter((part) => part.text !== '');
}

function around(text: string, first: Range): Range {
  const from = first.start - BEFORE;
  const to = Math.max(from, 0) + LENGTH + (first.end - first.start);
  return {
    start: from <= 0 ? 0 : wordAt(text, from),
    end: to >= text.length ? text.length : Math.max(wordAt(text, to), first.end),
  };
}

/** Where the word begins that stands at a place. */
function wordAt(text: string, place: number): number {
  const from = Math.max(0, place - LONGEST_WORD);
  const nearby = text.slice(from, place + LONGEST_WORD);
  return from + (words.segment(nearby).containing(place - from)?.index ?? 0);
}
