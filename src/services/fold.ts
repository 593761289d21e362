/*
 * What a search compares: without case, accents, vowel points and the forms of a letter that are only its
 * look. chatkeep.fold() in drizzle/ folds alike in SQL; this one also knows where it came from.
 */

/**
 * Accents, the vowel points of Hebrew and Arabic, and what says how an emoji is to look.
 */
const MARKS =
  /[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed]|[\ufe00-\ufe0f]/g;

/** The text as it is compared; without U+001F, which stands between two texts in the database. */
export const fold = (text: string): string =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .replace(MARKS, '')
    .replaceAll('\x1f', '')
    .replaceAll('ς', 'σ')
    .normalize('NFC');

export interface Folded {
  readonly text: string;
  /** The stretch of the original that a stretch of the folded text came from, widened to whole graphemes. */
  origin(start: number, end: number): { readonly start: number; readonly end: number };
}

const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** The text as it is compared, with the way back. */
export function foldWithOrigin(original: string): Folded {
  // Nothing but ASCII folds letter by letter; of it only CR LF is a grapheme of two.
  if (/^[ -~\n\t]*$/.test(original)) {
    return { text: original.toLowerCase(), origin: (start, end) => ({ start, end }) };
  }
  let text = '';
  /** For each code unit of the folded text, where its piece of the original begins and ends. */
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  for (const piece of pieces(original)) {
    const folded = foldPiece(piece);
    for (let i = 0; i < folded.length; i += 1) {
      starts.push(at);
      ends.push(at + piece.length);
    }
    text += folded;
    at += piece.length;
  }
  const whole = graphemes.segment(original);
  return {
    text,
    origin(start, end) {
      const first = whole.containing(starts[start] ?? original.length);
      const last = whole.containing((ends[end - 1] ?? original.length) - 1);
      return {
        start: first?.index ?? original.length,
        end: last ? last.index + last.segment.length : original.length,
      };
    },
  };
}

/**
 * A code point whose decomposition may change with, or be moved by, what stands before it: marks, the
 * vowels and finals of Hangul, and the vowel signs of Kirat Rai, which compose without being marks.
 */
const CLINGS = /^[\p{M}\u1160-\u11ff\u{16d67}-\u{16d6a}]/u;

/** What single characters fold to, beyond ASCII, and whether they cling: asked for again and again. */
const known = new Map<string, { readonly folded: string; readonly clings: boolean }>();

function ofCharacter(character: string) {
  let found = known.get(character);
  if (!found) {
    found = { folded: fold(character), clings: CLINGS.test(character.normalize('NFKD')) };
    // Those of the first plane are few enough to be kept.
    if (character.length === 1) known.set(character, found);
  }
  return found;
}

const foldPiece = (piece: string): string =>
  piece.length === 1 ? ofCharacter(piece).folded : fold(piece);

/** Pieces that fold each for itself as they do within the text. */
function* pieces(text: string): Generator<string> {
  let piece = '';
  for (const character of text) {
    if (piece !== '' && !ofCharacter(character).clings) {
      yield piece;
      piece = '';
    }
    piece += character;
  }
  if (piece !== '') yield piece;
}
