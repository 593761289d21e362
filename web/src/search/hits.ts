import { useSyncExternalStore } from 'react';

/** Where a hit of the search stands in time. */
export interface Mark {
  readonly id: string;
  readonly createdAt: string;
}

const NONE: readonly Mark[] = [];

const listeners = new Set<() => void>();
let marks = NONE;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Says which hits are found. They stay until the search is given up, also while one of them is read. */
export function markHits(hits: readonly Mark[]): void {
  if (hits.length === 0 && marks.length === 0) return;
  marks = hits;
  for (const listener of [...listeners]) listener();
}

/** The hits of the search that have been loaded, newest first. */
export function useSearchHits(): readonly Mark[] {
  return useSyncExternalStore(subscribe, () => marks);
}
