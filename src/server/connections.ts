/** How many connections are let in, each process for itself. */
export interface ConnectionLimits {
  /** WebSockets and streams over HTTP of one user: tabs and devices. */
  readonly perUser: number;
  /** WebSockets of one address that have not signed in. */
  readonly anonymousPerAddress: number;
  /** Operations that run on one WebSocket at the same time. */
  readonly operationsPerSocket: number;
  /** How often a WebSocket is pinged, in ms; one that has not answered by the next time is given up. */
  readonly pingMs: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  perUser: 100,
  anonymousPerAddress: 100,
  operationsPerSocket: 20,
  pingMs: 12_000,
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
