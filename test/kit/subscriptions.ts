import { createClient } from 'graphql-ws';
import { expect, onTestFinished } from 'vitest';
import WebSocket from 'ws';
import type { Any } from './client.ts';
import type { TestServer } from './server.ts';

export const ADDED = 'subscription { messageAdded { id message response status } }';

export const EVENTS = `subscription Events($after: String) {
  chatEvents(after: $after) {
    __typename
    ... on MessageChanged { cursor message { id message response status } }
    ... on MessageDeleted { cursor id }
    ... on ReplyDelta { messageId offset text }
    ... on CaughtUp { cursor }
  }
}`;

export type Subscriber = ReturnType<typeof createClient>;

/** A device: one WebSocket, which does not come back by itself. */
export function connect(
  at: Pick<TestServer, 'wsUrl'>,
  token: string | undefined,
  key = 'authorization',
): Subscriber {
  const client = createClient({
    url: `${at.wsUrl}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: token ? { [key]: `Bearer ${token}` } : {},
  });
  onTestFinished(async () => client.dispose());
  return client;
}

/** What a client of WebSockets and one of SSE have in common. */
interface Subscribes {
  subscribe(
    request: { query: string; variables?: Record<string, unknown> },
    sink: {
      next(value: Any): void;
      error(error: unknown): void;
      complete(): void;
    },
  ): () => void;
}

export interface Subscription {
  readonly values: Any[];
  /** The error that ended it, or undefined if it was complete. */
  readonly ended: Promise<unknown>;
  /** The nth result, once it is there. */
  nth(n: number): Promise<Any>;
  /** The first result that fits, once it is there. */
  first(fits: (value: Any) => boolean): Promise<Any>;
  stop(): void;
}

/** A running subscription: what has come, and promises for what will. */
export function collect(
  client: Subscribes,
  query = ADDED,
  variables: Record<string, unknown> = {},
  onValue: (value: Any) => void = () => {},
): Subscription {
  const values: Any[] = [];
  const waiting = new Set<() => void>();
  let stop = () => {};
  const ended = new Promise<unknown>((resolve) => {
    stop = client.subscribe(
      { query, variables },
      {
        next(value) {
          values.push(value);
          onValue(value);
          for (const look of [...waiting]) look();
        },
        error: resolve,
        complete: () => resolve(undefined),
      },
    );
  });
  const until = <T>(find: () => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const look = () => {
        const found = find();
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  return {
    values,
    ended,
    nth: (n) => until(() => values[n - 1]),
    first: (fits) => until(() => values.find(fits)),
    stop: () => stop(),
  };
}

/** `messageAdded` has no acknowledgement: done when the server counts it. */
export async function subscribed(at: Pick<TestServer, 'url'>, n: number): Promise<void> {
  await expect
    .poll(async () => {
      const text = await (await fetch(`${at.url}/metrics`)).text();
      return Number(/chatkeep_subscriptions (\d+)/.exec(text)?.[1]);
    })
    .toBe(n);
}
