import { v7 as uuidv7 } from 'uuid';
import type { Client } from 'urql';
import type { Graphql } from '../graphql/client.ts';
import { deliver, type Outcome } from './delivery.ts';
import { createShelf } from './shelf.ts';

/** What was written and is not in the history yet. */
export interface Unsent {
  readonly id: string;
  readonly message: string;
  /** When it was written, ISO 8601. */
  readonly createdAt: string;
  /**
   * `waiting`: kept on this device until it can go out. `refused`: the server says why. `stored`: the
   * server has it, and the history is about to.
   */
  readonly state: 'sending' | 'waiting' | 'refused' | 'stored';
  /** For a person; a message that waits for nothing but a connection has none. */
  readonly reason?: string | undefined;
}

interface Options {
  readonly client: Client;
  readonly userId: string;
  readonly connection: Graphql['connection'];
}

interface Letter {
  /** A UUIDv7: letters sort as they were written. */
  readonly id: string;
  readonly message: string;
  readonly createdAt: string;
  /** Why the server does not want it. */
  readonly refusal?: string;
  /** The server has it. */
  readonly stored?: true;
}

/** The longest pause before the next try, after so many tries that failed. */
const longestPause = (tries: number) => Math.min(1_000 * 2 ** (tries - 1), 30_000);

/**
 * Messages on their way. Each is kept on this device before it is sent, and until the server says that
 * it has it: a reload, a tab that is closed or a day without a network cost nothing. They go out one
 * after the other, in the order in which they were written; the tabs of a browser share them and take
 * turns. Sending one twice is harmless, since its id was chosen here.
 */
export function createOutbox({ client, userId, connection }: Options) {
  const name = `chatkeep:outbox:${userId}`;
  const shelf = createShelf<Letter>(name);
  const listeners = new Set<() => void>();
  let unsent: readonly Unsent[] = [];
  /** Why the last try came to nothing; undefined while there is no reason to wait. */
  let setback: Extract<Outcome, { kind: 'later' }> | undefined;
  let tries = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running = false;
  let closed = false;

  // The history that this page is about to read has these.
  for (const { id, stored } of shelf.all()) if (stored) shelf.remove(id);

  function toUnsent({ id, message, createdAt, refusal, stored }: Letter): Unsent {
    const written = { id, message, createdAt };
    if (stored) return { ...written, state: 'stored' };
    if (refusal !== undefined) return { ...written, state: 'refused', reason: refusal };
    if (!setback && navigator.onLine) return { ...written, state: 'sending' };
    return { ...written, state: 'waiting', reason: setback?.reason };
  }

  function changed(): void {
    if (closed) return;
    unsent = shelf.all().map(toUnsent);
    for (const listener of [...listeners]) listener();
  }

  const next = () => shelf.all().find(({ refusal, stored }) => refusal === undefined && !stored);

  async function sendNext(): Promise<void> {
    // Read here: while this tab waited for its turn, another one may have sent it.
    const letter = closed ? undefined : next();
    if (!letter) return;
    const { id, message } = letter;
    const outcome = await deliver(client, { id, message });
    if (outcome.kind === 'later') {
      setback = outcome;
      tries += 1;
      return;
    }
    setback = undefined;
    tries = 0;
    // Not if it was discarded in the meantime, or the history has it already.
    if (!shelf.get(id)) return;
    shelf.put({
      ...letter,
      ...(outcome.kind === 'stored' ? { stored: true } : { refusal: outcome.reason }),
    });
  }

  /** Sends all that can be sent now. */
  async function run(): Promise<void> {
    if (running || closed || !navigator.onLine) return;
    running = true;
    clearTimeout(timer);
    try {
      do {
        // Not there on a page that came over plain HTTP from another machine.
        await (navigator.locks ? navigator.locks.request(name, sendNext) : sendNext());
        changed();
      } while (!closed && !setback && next());
    } finally {
      running = false;
    }
    if (setback && !closed) timer = setTimeout(() => void run(), pauseAfter(setback));
  }

  function pauseAfter({ afterMs }: { readonly afterMs?: number }): number {
    // Not all devices of all users at once, when a server comes back.
    return afterMs ?? longestPause(tries) * (0.5 + Math.random() / 2);
  }

  /** There is reason to believe that it works now. */
  function hurry(): void {
    changed();
    if (!setback?.afterMs) void run();
  }

  const stops = [
    connection.subscribe(() => {
      if (connection.get() === 'connected') hurry();
    }),
    shelf.onChange(hurry),
  ];
  window.addEventListener('online', hurry);
  window.addEventListener('offline', changed);
  // A page that is closed right away again (React's StrictMode does that) sends nothing.
  queueMicrotask(hurry);

  return {
    /** Oldest first. */
    get unsent(): readonly Unsent[] {
      return unsent;
    },
    subscribe(listener: () => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** Keeps a message on this device, then sends it; it goes out whatever happens to the page. */
    send(message: string): void {
      shelf.put({
        id: uuidv7(),
        message,
        createdAt: new Date().toISOString(),
      });
      hurry();
    },
    /** Sends again what was refused, under the same id. */
    retry(id: string): void {
      const letter = shelf.get(id);
      if (!letter) return;
      const { refusal: _, ...again } = letter;
      shelf.put(again);
      hurry();
    },
    /** The history has it: chatEvents told. */
    arrived(id: string): void {
      if (!shelf.get(id)) return;
      shelf.remove(id);
      changed();
    },
    /** Forgets what was not sent. */
    discard(id: string): void {
      shelf.remove(id);
      changed();
    },
    close(): void {
      closed = true;
      clearTimeout(timer);
      for (const stop of stops) stop();
      window.removeEventListener('online', hurry);
      window.removeEventListener('offline', changed);
    },
  };
}

export type Outbox = ReturnType<typeof createOutbox>;
