import { LANGUAGES } from './languages.ts';

export interface Exchange {
  readonly message: string;
  readonly response: string;
}

/** In UTF-16 code units. */
export const MESSAGE_LENGTH = 120;
export const RESPONSE_LENGTH = 400;

const languages = Object.values(LANGUAGES);

/** The nth exchange, of our own lines alone: needs nothing installed. The same each time. */
export const exchangeOf = (n: number): Exchange => ({
  message: linesOf(n, scatter(n, 1), MESSAGE_LENGTH),
  response: linesOf(n, scatter(n, 2), RESPONSE_LENGTH),
});

/** Lines of the nth exchange's language; a character is never cut in two. */
export function linesOf(n: number, place: number, length: number): string {
  const lines = languages[scatter(n, 3) % languages.length] ?? [];
  let text = '';
  for (let i = 0; ; i += 1) {
    const line = lines[scatter(place, i) % lines.length] ?? '';
    if (text.length + line.length > length) return text === '' ? line : text.trimEnd();
    text += `${line} `;
  }
}

/** A number of 32 bits that looks like chance: the finaliser of MurmurHash3. */
export function scatter(n: number, salt: number): number {
  let h = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(salt + 1, 0x7feb352d);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
