import { useSyncExternalStore } from 'react';

/** Where one is, as the URL says it: a message of its own, a search. The same object while the URL is. */
export interface Place {
  /** `/m/<id>`: the message to jump to. */
  readonly messageId: string | undefined;
  /** `?q=`: what is searched for; undefined while the search is closed. */
  readonly query: string | undefined;
  /** `from`, `to` and `mood` beside it. */
  readonly narrowing: Narrowing;
}

/** What narrows a search, as a person wrote it into fields or the URL: unchecked. */
export interface Narrowing {
  /** The first day, as YYYY-MM-DD. */
  readonly from?: string | undefined;
  /** The last day. */
  readonly to?: string | undefined;
  readonly moods: readonly string[];
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
  return {
    messageId: /^\/m\/([0-9a-f-]{36})$/i.exec(pathname)?.[1]?.toLowerCase(),
    query: searchParams.get('q') ?? undefined,
    narrowing: {
      from: searchParams.get('from') ?? undefined,
      to: searchParams.get('to') ?? undefined,
      moods: searchParams.getAll('mood'),
    },
  };
}

let known = { url: current(), place: placeOf(current()) };

function currentPlace(): Place {
  const url = current();
  if (url !== known.url) known = { url, place: placeOf(url) };
  return known.place;
}

export function usePlace(): Place {
  return useSyncExternalStore(subscribe, currentPlace);
}

/**
 * Goes somewhere: a new entry of the browser's history, or in place of the current one. `state` is kept
 * with a new entry as `history.state`, and stays when the entry is replaced.
 */
export function go(to: string, how: 'push' | 'replace' = 'push', state: unknown = null): void {
  if (to === current()) return;
  if (how === 'push') window.history.pushState(state, '', to);
  else window.history.replaceState(window.history.state, '', to);
  for (const listener of [...listeners]) listener();
}

/** The way to the same place with another search; an undefined query closes it. */
export function withQuery(query: string | undefined, narrowing?: Narrowing): string {
  const { pathname } = window.location;
  if (query === undefined) return pathname;
  const search = new URLSearchParams({ q: query });
  if (narrowing?.from) search.set('from', narrowing.from);
  if (narrowing?.to) search.set('to', narrowing.to);
  for (const mood of narrowing?.moods ?? []) search.append('mood', mood);
  return `${pathname}?${search}`;
}
