import { useSyncExternalStore } from 'react';

/** Where one is, as the URL says it: a message of its own, a search. */
export interface Place {
  /** `/m/<id>`: the message to jump to. */
  readonly messageId: string | undefined;
  /** `?q=`: what is searched for; undefined while the search is closed. */
  readonly query: string | undefined;
}

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('popstate', listener);
  };
}

const current = () => window.location.pathname + window.location.search;

function placeOf(url: string): Place {
  const { pathname, searchParams } = new URL(url, window.location.origin);
  const messageId = /^\/m\/([0-9a-f-]{36})$/i.exec(pathname)?.[1];
  return { messageId, query: searchParams.get('q') ?? undefined };
}

export function usePlace(): Place {
  return placeOf(useSyncExternalStore(subscribe, current));
}

/** Goes somewhere: a new entry of the browser's history, or in place of the current one. */
export function go(to: string, how: 'push' | 'replace' = 'push'): void {
  if (to === current()) return;
  window.history[how === 'push' ? 'pushState' : 'replaceState'](null, '', to);
  for (const listener of [...listeners]) listener();
}

/** The way to the same place with another query; undefined closes the search. */
export function withQuery(query: string | undefined): string {
  const { pathname } = window.location;
  return query === undefined ? pathname : `${pathname}?${new URLSearchParams({ q: query })}`;
}
