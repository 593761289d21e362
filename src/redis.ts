import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Logger } from './log.ts';

export type RedisClient = Redis | Cluster;

// ioredis' types do not allow for exactOptionalPropertyTypes.
type Options = RedisOptions & { replyMapping?: never };

/** Redis does not answer, or is known not to. */
export class RedisAway extends Error {
  override readonly name = 'RedisAway';
}

/** One process' connection to Redis, with a breaker: a Redis that is away is not asked each time. */
export interface RedisLink {
  readonly isCluster: boolean;
  readonly up: boolean;
  /**
   * Whether what stands in Redis can be relied on: this process has not failed to write to it for `ms`.
   * A process that saw Redis fail may have lost a write of its own.
   */
  trustedFor(ms: number): boolean;
  /** @throws RedisAway at once while Redis is away */
  run<T>(command: (client: RedisClient) => Promise<T>): Promise<T>;
  /** A connection of its own, for subscribing; it resubscribes by itself. */
  subscriber(): RedisClient;
  /** Calls back each time Redis is there again after an outage. */
  onBack(listener: () => void): void;
  close(): Promise<void>;
}

const COMMAND_TIMEOUT_MS = 150;
const PROBE_MS = 250;
const FIRST_CONNECT_MS = 1_000;

// The defaults let a GET wait for more than 20 s, and run queued writes after the outage.
const commandOptions: RedisOptions = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  commandTimeout: COMMAND_TIMEOUT_MS,
  connectTimeout: FIRST_CONNECT_MS,
  enableAutoPipelining: false,
  retryStrategy: (attempt) => Math.min(attempt * 50, 500),
};

const subscriberOptions: RedisOptions = {
  maxRetriesPerRequest: null,
  connectTimeout: FIRST_CONNECT_MS,
  retryStrategy: (attempt) => Math.min(attempt * 50, 500),
};

/**
 * Connects to one Redis, or to a Cluster for a comma-separated list of URLs. Redis being away does not
 * fail this; it waits a second at most for the first connection.
 */
export async function connectRedis(urls: string, log: Logger): Promise<RedisLink> {
  const nodes = urls.split(',');
  const isCluster = nodes.length > 1;
  const client = open(nodes, commandOptions);
  const subscribers: RedisClient[] = [];
  const backListeners: (() => void)[] = [];
  let up = false;
  let backAt = Number.NEGATIVE_INFINITY;
  let failed = false;
  let closed = false;
  let probing: NodeJS.Timeout | undefined;

  function fail(): void {
    if (failed || closed) return;
    failed = true;
    up = false;
    log.warn('Redis is away: going on without it');
    probing = setInterval(probe, PROBE_MS);
  }

  function probe(): void {
    // A write: a Redis that only reads is of no use.
    client.set('chat:probe', '1', 'PX', PROBE_MS).then(
      () => {
        if (!failed || closed) return;
        clearInterval(probing);
        failed = false;
        up = true;
        backAt = performance.now();
        log.info('Redis is back');
        for (const listener of backListeners) listener();
      },
      () => {},
    );
  }

  client.on('error', () => {});
  client.on('close', fail);
  await firstConnection(client, isCluster).then(
    () => {
      up = !failed;
    },
    () => fail(),
  );

  return {
    isCluster,
    get up() {
      return up;
    },
    trustedFor: (ms) => up && performance.now() - backAt > ms,
    async run(command) {
      if (!up) throw new RedisAway();
      try {
        return await command(client);
      } catch (error) {
        // A library's own verdict (a rate limit reached), not a failure.
        if (!(error instanceof Error)) throw error;
        // An error for an answer (out of memory, read-only, loading) is as bad as none: what was to be
        // written is not there.
        fail();
        throw new RedisAway('Redis does not answer.', { cause: error });
      }
    },
    subscriber() {
      const subscriber = open(nodes, subscriberOptions);
      subscriber.on('error', () => {});
      subscribers.push(subscriber);
      return subscriber;
    },
    onBack: (listener) => {
      backListeners.push(listener);
    },
    async close() {
      closed = true;
      clearInterval(probing);
      for (const connection of [client, ...subscribers]) connection.disconnect();
    },
  };
}

function open(nodes: readonly string[], options: RedisOptions): RedisClient {
  const [only] = nodes;
  if (nodes.length === 1 && only !== undefined) return new Redis(only, { ...options } as Options);
  const { username, password, protocol } = new URL(only ?? '');
  return new Cluster([...nodes], {
    shardedSubscribers: true,
    enableOfflineQueue: options.enableOfflineQueue ?? true,
    redisOptions: {
      ...options,
      ...(username && { username: decodeURIComponent(username) }),
      ...(password && { password: decodeURIComponent(password) }),
      ...(protocol === 'rediss:' && { tls: {} }),
    },
    clusterRetryStrategy: (attempt: number) => Math.min(attempt * 50, 500),
  } as unknown as NonNullable<ConstructorParameters<typeof Cluster>[1]>);
}

function firstConnection(client: RedisClient, isCluster: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, FIRST_CONNECT_MS, new RedisAway());
    client.once('ready', () => {
      clearTimeout(timer);
      resolve();
    });
    // A single Redis that refuses is away at once; of a cluster one node may.
    if (!isCluster) client.once('close', reject);
  });
}
