import type { DocumentNode, Token } from 'graphql';
import { LRUCache } from 'lru-cache';

/** So much memory is for documents that were parsed. */
const MAX_BYTES = 16 * 1024 * 1024;
/** What a token takes, with the node that it became: 313 were measured. */
const BYTES_A_TOKEN = 400;

/**
 * Parsed documents by their text, within so many bytes. The engine's own cache has a thousand of them, of
 * whatever size, and a thousand that could not be parsed: with the largest there may be that is half a
 * gigabyte, which anybody could fill.
 */
export function createDocumentCaches() {
  return {
    documentCache: new LRUCache<string, DocumentNode>({
      maxSize: MAX_BYTES,
      sizeCalculation: ({ loc }, text) =>
        2 * text.length + BYTES_A_TOKEN * countTokens(loc?.startToken),
    }),
    // Nobody sends what is no good a second time, but to harm.
    errorCache: { get: () => undefined, set: () => {} },
  };
}

function countTokens(first: Token | null | undefined): number {
  let count = 0;
  for (let token = first; token; token = token.next) count += 1;
  return count;
}
