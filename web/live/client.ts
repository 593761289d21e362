/**
 * A subscription that cannot miss anything, on top of graphql-ws. Copy this file: it needs graphql-ws
 * and nothing else, and is what the web client and the tests use.
 *
 * It remembers the last cursor of `chatEvents` and hands it back as `after` whenever it has to
 * subscribe anew, so that a phone that was asleep, a token that ran out or a server that was replaced
 * cost a pause and no event. docs/live.md says what the server promises.
 *
 * ```ts
 * const live = createLiveClient({
 *   url: 'ws://localhost:4000/graphql',
 *   connectionParams: async () => ({ authorization: `Bearer ${await token()}` }),
 * });
 * const client = new Client({
 *   url: '/graphql',
 *   exchanges: [cacheExchange, fetchExchange, subscriptionExchange(live)],
 * });
 * ```
 *
 * The document takes the cursor as `$after` and selects it, `__typename`, and of a delta all three:
 *
 * ```graphql
 * subscription Events($after: String) {
 *   chatEvents(after: $after) {
 *     __typename
 *     ... on MessageChanged { cursor message { id response status } }
 *     ... on MessageDeleted { cursor id }
 *     ... on ReplyDelta { messageId offset text }
 *     ... on CaughtUp { cursor }
 *   }
 * }
 * ```
 */
import type { FormattedExecutionResult } from 'graphql';
import { type ClientOptions, CloseCode, createClient } from 'graphql-ws';

export interface LiveClientOptions {
  /** Where the server is, `ws:` or `wss:`. */
  readonly url: string;
  /** Called anew for each connection: the token from before may have run out. */
  readonly connectionParams: () => Promise<Record<string, unknown>> | Record<string, unknown>;
  /** For Node: `WebSocket` of `ws`. Browsers have their own. */
  readonly webSocketImpl?: unknown;
  /**
   * For a person: `away` from the moment a connection is lost until one is there again. Subscriptions
   * may still be catching up then; `CaughtUp` says when they have.
   */
  readonly onState?: (state: 'connecting' | 'connected' | 'away') => void;
  /**
   * The server closed with 4403: it does not take the token of the connection, or no more. The next
   * connection asks `connectionParams` anew; what else has to happen is up to you.
   */
  readonly onRefused?: () => void;
  /**
   * The server does not know the cursor (its database is an older copy): the subscription goes on from
   * now, and the history has to be read again.
   */
  readonly onReset?: () => void;
  /** The longest pause before the nth try in a row (from 0), in ms; default 1 s, doubling up to 30 s. */
  readonly longestPause?: (tries: number) => number;
}

interface Request {
  readonly query?: string | undefined;
  readonly variables?: Record<string, unknown> | undefined;
}

export interface LiveClient {
  /** The option of urql's `subscriptionExchange`; of use without urql as well. */
  readonly forwardSubscription: (request: Request) => {
    subscribe(sink: Observer): { unsubscribe(): void };
  };
  /** Ends all subscriptions and the connection. */
  close(): Promise<void>;
}

type Result = FormattedExecutionResult<Record<string, unknown>, Record<string, unknown>>;

export interface Observer {
  next(result: Result): void;
  error(error: unknown): void;
  complete(): void;
}

const PING_MS = 10_000;
const PONG_MS = 5_000;

export function createLiveClient(options: LiveClientOptions): LiveClient {
  const { onState = () => {}, onRefused = () => {}, onReset = () => {} } = options;
  const { longestPause = (tries) => Math.min(30_000, 1_000 * 2 ** tries) } = options;
  let pongMissing: ReturnType<typeof setTimeout>;
  let closed = false;
  /** Subscriptions, and pauses between two tries: each with the way to end it. */
  const underWay = new Set<() => void>();

  // Not all at the same moment after a server was replaced; and at once when the network is back.
  const pause = (tries: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(end, Math.random() * longestPause(tries));
      function end() {
        clearTimeout(timer);
        underWay.delete(end);
        globalThis.removeEventListener?.('online', end);
        resolve();
      }
      underWay.add(end);
      globalThis.addEventListener?.('online', end);
      if (closed) end();
    });

  const client = createClient({
    url: options.url,
    connectionParams: options.connectionParams,
    webSocketImpl: options.webSocketImpl,
    keepAlive: PING_MS,
    retryAttempts: Number.POSITIVE_INFINITY,
    retryWait: pause,
    // A close without a code, a refused connection: nothing is for ever.
    shouldRetry: () => true,
    on: {
      connecting: (isRetry) => onState(isRetry ? 'away' : 'connecting'),
      connected: () => onState('connected'),
      closed: (event) => {
        clearTimeout(pongMissing);
        onState('away');
        if ((event as { code?: number } | undefined)?.code === CloseCode.Forbidden) onRefused();
      },
      // A connection that died without a word (a phone that changed its network) answers no ping.
      ping: (received) => {
        if (!received) pongMissing = setTimeout(() => client.terminate(), PONG_MS);
      },
      pong: (received) => {
        if (received) clearTimeout(pongMissing);
      },
    },
  } as ClientOptions);

  function subscribe({ query = '', variables = {} }: Request, sink: Observer): () => void {
    const resumes = /\$after\b/.test(query);
    const trim = createTrimmer();
    let cursor = variables['after'];
    let tries = 0;
    let stopped = false;
    let stop = () => {};

    // graphql-ws reads it again each time it subscribes anew after a lost connection.
    const payload = {
      query,
      get variables() {
        return resumes ? { ...variables, after: cursor } : variables;
      },
    };

    async function again(): Promise<void> {
      await pause(tries);
      tries += 1;
      if (!stopped) start();
    }

    function start(): void {
      // What the server said when it ended the subscription by itself.
      let refusal: Refusal = 'none';
      stop = client.subscribe<Record<string, unknown>, Record<string, unknown>>(payload, {
        next(result: Result) {
          refusal = refusalOf(result.errors);
          if (refusal === 'no such cursor') {
            cursor = undefined;
            onReset();
          }
          if (refusal !== 'none' && refusal !== 'for good') return;
          const event = trim(result);
          if (!event) return;
          sink.next(event);
          const next = cursorIn(event);
          if (next !== undefined) cursor = next;
          if (refusal === 'none') tries = 0;
        },
        error(error) {
          if (stopped) return;
          if (refusalOf(error) === 'for good') sink.error(error);
          else again();
        },
        complete() {
          if (stopped || refusal === 'for good') sink.complete();
          else again();
        },
      });
    }

    function end(): void {
      underWay.delete(end);
      stopped = true;
      stop();
    }

    underWay.add(end);
    start();
    return end;
  }

  return {
    forwardSubscription: (request) => ({
      subscribe: (sink) => ({ unsubscribe: subscribe(request, sink) }),
    }),
    async close() {
      closed = true;
      clearTimeout(pongMissing);
      for (const end of [...underWay]) end();
      // It waits for a connection that is being made, which may not come about.
      await Promise.resolve(client.dispose()).catch(() => {});
    },
  };
}

type Refusal = 'none' | 'for now' | 'no such cursor' | 'for good';

function refusalOf(errors: unknown): Refusal {
  if (!Array.isArray(errors) || errors.length === 0) return 'none';
  const { code, argument } = errors[0]?.extensions ?? {};
  if (code === 'SERVICE_UNAVAILABLE' || code === 'RATE_LIMITED') return 'for now';
  return code === 'BAD_USER_INPUT' && argument === 'after' ? 'no such cursor' : 'for good';
}

type Event = {
  readonly __typename?: string;
  readonly cursor?: string;
  readonly message?: { readonly id?: string };
  readonly id?: string;
  readonly messageId?: string;
  readonly offset?: number;
  readonly text?: string;
};

const eventIn = ({ data }: Result) =>
  (data?.['chatEvents'] as Event | null | undefined) ?? undefined;

const cursorIn = (result: Result): string | undefined => eventIn(result)?.cursor;

/**
 * After a reconnect the server tells a running reply from its beginning, since it cannot know how much
 * of it had come. This takes away what has been given already.
 */
function createTrimmer() {
  const given = new Map<string, number>();
  return (result: Result): Result | undefined => {
    const event = eventIn(result);
    const changed = event?.message?.id ?? event?.id;
    if (changed !== undefined) given.delete(changed);
    const { messageId, offset, text } = event ?? {};
    if (messageId === undefined || offset === undefined || text === undefined) return result;
    const known = Math.max(offset, given.get(messageId) ?? 0);
    const end = offset + text.length;
    if (end <= known) return undefined;
    given.set(messageId, end);
    const rest = { ...event, offset: known, text: text.slice(known - offset) };
    return { ...result, data: { ...result.data, chatEvents: rest } };
  };
}
