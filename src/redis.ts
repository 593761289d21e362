import { once } from 'node:events';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Logger } from './log.ts';
import { createPatience } from './patience.ts';

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
   * A process that saw Redis fail may have lost a write of its own; one that just started has not.
   */
  trustedFor(ms: number): boolean;
  /** A write was lost, whatever the reason: what stands in Redis is not to be relied on from now. */
  distrust(): void;
  /**
   * @throws RedisAway at once while Redis is away, and after a connection error or a time-out, which
   * begin an outage; what Redis itself says against a command is thrown as it is
   */
  run<T>(command: (client: RedisClient) => Promise<T>): Promise<T>;
  /** A connection of its own for subscribing; on a Cluster one to each master that had a channel. */
  subscriber(): RedisClient;
  /** Calls back each time Redis is there again after an outage. */
  onBack(listener: () => void): void;
  close(): Promise<void>;
}

const COMMAND_TIMEOUT_MS = 150;
const PROBE_MS = 250;
const FIRST_CONNECT_MS = 1_000;
// A cut that nobody is told of (a firewall, a frozen host) would else last as long as TCP's patience.
const SILENCE_MS = 2_000;
const TOPOLOGY_MS = 5_000;
/** Keys of as many slots, so that a Cluster is not back before each of its masters is. */
const CLUSTER_PROBES = 16;

// The defaults let a GET wait for more than 20 s, and run queued and sent writes after the outage.
const commandOptions: RedisOptions = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 1,
  connectTimeout: FIRST_CONNECT_MS,
  socketTimeout: SILENCE_MS,
  enableAutoPipelining: false,
  retryStrategy: (attempt) => Math.min(attempt * 50, 500),
  // A primary that became a replica stays one: the name may lead to the new primary.
  reconnectOnError: (error) => error.message.startsWith('READONLY'),
};

const subscriberOptions: RedisOptions = {
  maxRetriesPerRequest: null,
  connectTimeout: FIRST_CONNECT_MS,
  socketTimeout: SILENCE_MS,
  // Who listens does, to know when it is acknowledged. ioredis leaves a refusal unhandled (redis/ioredis#2187).
  autoResubscribe: false,
  retryStrategy: (attempt) => Math.min(attempt * 50, 500),
};

/** States in which Redis answers, but not with what was asked for, or takes no writes. */
const NOT_SERVING =
  /^(LOADING|MASTERDOWN|CLUSTERDOWN|READONLY|BUSY|TRYAGAIN|OOM|MISCONF|NOREPLICAS|NOAUTH|WRONGPASS)\b/;

/**
 * Connects to one Redis, or to a Cluster for a comma-separated list of URLs. Redis being away does not
 * fail this; it waits a second at most for the first connection.
 */
export async function connectRedis(urls: string, log: Logger): Promise<RedisLink> {
  const nodes = urls.split(',');
  const isCluster = nodes.length > 1;
  const client = open(nodes, commandOptions);
  // Where ioredis' own `commandTimeout` gives up, others would serve pages from before a change whose lease was
  // not moved.
  const inTime = createPatience(COMMAND_TIMEOUT_MS);
  const subscribers: RedisClient[] = [];
  const backListeners: (() => void)[] = [];
  let up = false;
  const refusals = new Set<string>();
  let trustedSince = Number.NEGATIVE_INFINITY;
  let failed = false;
  let closed = false;
  let lastError: Error | undefined;
  let probing: NodeJS.Timeout | undefined;

  function fail(error = lastError): void {
    if (failed || closed) return;
    failed = true;
    up = false;
    log.warn({ reason: error && reasonOf(error) }, 'Redis is away: going on without it');
    probing = setTimeout(probe, PROBE_MS);
  }

  // Writes, because a Redis that is out of memory, or a replica now, still answers a PING.
  async function probe(): Promise<void> {
    const keys = Array.from(
      { length: isCluster ? CLUSTER_PROBES : 1 },
      (_, i) => `chat:probe:${i}`,
    );
    const answers = await Promise.allSettled(
      keys.map((key) => inTime(client.set(key, 1, 'PX', 1_000))),
    );
    if (closed) return;
    if (answers.some(({ status }) => status === 'rejected')) {
      probing = setTimeout(probe, PROBE_MS);
      return;
    }
    failed = false;
    lastError = undefined;
    up = true;
    trustedSince = performance.now();
    log.info('Redis is back');
    for (const listener of backListeners) listener();
  }

  /** An error that is no outage is a fault of ours, or of the rights we were given: said once. */
  function refused(error: Error): void {
    const reason = reasonOf(error);
    const [kind = ''] = reason.split(' ');
    if (refusals.has(kind)) return;
    refusals.add(kind);
    log.error({ reason }, 'Redis refused a command');
  }

  client.on('error', (error) => {
    lastError = error;
  });
  client.on('close', () => fail());
  // One node of a Cluster: what it was told last may not have reached the replica that takes over.
  client.on('-node', () => fail());
  await firstConnection(client).then(
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
    trustedFor: (ms) => up && performance.now() - trustedSince > ms,
    distrust() {
      trustedSince = performance.now();
    },
    async run(command) {
      if (!up) throw new RedisAway();
      try {
        return await inTime(command(client));
      } catch (error) {
        // A library's own verdict (a rate limit reached), not a failure.
        if (!(error instanceof Error)) throw error;
        if (error.name === 'ReplyError' && !NOT_SERVING.test(error.message)) {
          refused(error);
          throw error;
        }
        fail(error);
        throw new RedisAway('Redis does not answer.', { cause: error });
      }
    },
    subscriber() {
      const subscriber = open(nodes, subscriberOptions);
      subscriber.on('error', () => {});
      subscriber.on('+subscriber', () => connectionsOf(subscriber).forEach(hushAtTheEnd));
      subscribers.push(subscriber);
      return subscriber;
    },
    onBack: (listener) => {
      backListeners.push(listener);
    },
    async close() {
      closed = true;
      clearTimeout(probing);
      for (const connection of [client, ...subscribers]) connection.disconnect();
    },
  };
}

/**
 * How many channels a subscriber has, as Redis counts them. A connection that does not answer this is
 * replaced, after SILENCE_MS.
 */
export async function countChannels(subscriber: RedisClient): Promise<number> {
  const counts = connectionsOf(subscriber).map(async (connection) => {
    // It connects with its first channel.
    if (connection.status === 'wait') return 0;
    const info = await connection.client('INFO');
    // The second one came with 7.0.3.
    const count = (field: RegExp) => Number(field.exec(info)?.[1] ?? Number.POSITIVE_INFINITY);
    return count(/ sub=(\d+)/) + count(/ ssub=(\d+)/);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** Of a Cluster's those for sharded channels, which ioredis keeps to itself. */
function connectionsOf(subscriber: RedisClient): Redis[] {
  if (!(subscriber instanceof Cluster)) return [subscriber];
  type Group = { shardedSubscribers: Map<string, { getInstance(): Redis | null }> };
  const { shardedSubscribers: group } = subscriber as unknown as { shardedSubscribers: Group };
  return [...group.shardedSubscribers.values()].flatMap((one) => one.getInstance() ?? []);
}

/** ioredis takes all listeners off a connection that it gives up, and prints what fails on it after that. */
function hushAtTheEnd(connection: Redis): void {
  connection.removeAllListeners = () =>
    Redis.prototype.removeAllListeners.call(connection).on('error', () => {});
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
    slotsRefreshInterval: TOPOLOGY_MS,
    clusterRetryStrategy: (attempt: number) => Math.min(attempt * 50, 500),
  } as unknown as NonNullable<ConstructorParameters<typeof Cluster>[1]>);
}

/** Why a Cluster is away only its nodes say; some of Node's connection errors have a code and no message. */
const reasonOf = (error: Error & { code?: string; lastNodeError?: Error }): string =>
  error.lastNodeError
    ? reasonOf(error.lastNodeError)
    : (error.message || error.code || error.name).slice(0, 200);

function firstConnection(client: RedisClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, FIRST_CONNECT_MS, new RedisAway());
    client.once('ready', () => {
      connectMasters(client)
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
    // A single Redis that refuses is away at once; of a cluster one node may.
    if (client instanceof Redis) client.once('close', reject);
  });
}

/**
 * ioredis connects to a node of a Cluster with the first command for it. What is said to the node
 * meanwhile goes astray and arrives late and out of order, and a node that died before is not missed.
 */
async function connectMasters(client: RedisClient): Promise<void> {
  if (client instanceof Redis) return;
  const connected = async (node: Redis) => {
    if (node.status === 'wait') await node.connect();
    else if (node.status !== 'ready') await once(node, 'ready');
  };
  await Promise.all(client.nodes('master').map(connected));
}
