import { fold } from './fold.ts';
import type { Text } from './snippet.ts';

/* Which words of a text are meant where it was found by a near spelling; as pg_trgm compares words. */

/** Less than this of its trigrams in common with a needle, and a word is another one. */
const NEAR = 0.3;

/** The needles, and for each that the texts do not hold the word that comes nearest to it. */
export function withNear(texts: readonly Text[], needles: readonly string[]): string[] {
  const folded = texts.map(({ text }) => fold(text));
  const missing = needles.filter((needle) => !folded.some((text) => text.includes(needle)));
  if (missing.length === 0) return [...needles];
  const words = new Set(folded.flatMap((text) => text.match(/[\p{L}\p{N}]+/gu) ?? []));
  return [...needles, ...missing.flatMap((needle) => nearest(words, needle) ?? [])];
}

function nearest(words: Iterable<string>, needle: string): string | undefined {
  const wanted = trigramsOf(needle);
  let best: { readonly word: string; readonly nearness: number } | undefined;
  for (const word of words) {
    if (Math.abs(word.length - needle.length) > needle.length / 2) continue;
    const others = trigramsOf(word);
    const shared = [...wanted].filter((trigram) => others.has(trigram)).length;
    const nearness = shared / wanted.size;
    if (nearness >= NEAR && nearness > (best?.nearness ?? 0)) best = { word, nearness };
  }
  return best?.word;
}

/** Three letters each, of the word with two blanks before it and one behind. */
function trigramsOf(word: string): Set<string> {
  const padded = `  ${word} `;
  return new Set(Array.from(padded.slice(2), (_, i) => padded.slice(i, i + 3)));
}
