/** How many connections are let in, each process for itself, and how long they may take; times in ms. */
export interface ConnectionLimits {
  /** WebSockets and streams over HTTP of one user: tabs and devices. */
  readonly perUser: number;
  /** WebSockets of one address that have not signed in. */
  readonly anonymousPerAddress: number;
  /** Operations that run on one WebSocket at the same time. */
  readonly operationsPerSocket: number;
  /** How often a WebSocket is pinged; one that has not answered by the next time is given up. */
  readonly pingMs: number;
  /** Until the head of a request has come, its connection's beginning included. */
  readonly headMs: number;
  /** Until all of a request has come. A megabyte over a slow line takes a while. */
  readonly requestMs: number;
  /** How long a client may read nothing of an answer that is there. */
  readonly stillMs: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  perUser: 100,
  anonymousPerAddress: 100,
  operationsPerSocket: 20,
  pingMs: 12_000,
  headMs: 10_000,
  requestMs: 60_000,
  stillMs: 60_000,
};

/** Counts what is open for each key. */
export interface Tally {
  /** Counts one in; undefined above the limit, else the way to count it out, which works once. */
  take(key: string): (() => void) | undefined;
}

export function createTally(limit: number): Tally {
  const counts = new Map<string, number>();
  return {
    take(key) {
      const count = counts.get(key) ?? 0;
      if (count >= limit) return undefined;
      counts.set(key, count + 1);
      let isOut = false;
      return () => {
        if (isOut) return;
        isOut = true;
        const left = (counts.get(key) ?? 0) - 1;
        if (left > 0) counts.set(key, left);
        else counts.delete(key);
      };
    },
  };
}
