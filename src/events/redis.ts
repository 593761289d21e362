import { randomUUID } from 'node:crypto';
import type { Logger } from '../log.ts';
import type { RedisClient, RedisLink } from '../redis.ts';
import type { Events, Hint } from './events.ts';
import { createListeners } from './listeners.ts';

interface Options {
  /** How often listeners look by themselves while Redis is away, in ms. */
  readonly pollMs?: number;
  /** How long `listen` waits for Redis to acknowledge, in ms. */
  readonly ackMs?: number;
}

const channelOf = (userId: string) => `chat:events:{${userId}}`;
const userOf = (channel: string) => channel.slice('chat:events:{'.length, -1);

/**
 * Events through Redis: one subscriber connection a process, a channel a user that exists only while
 * somebody listens; sharded on a Cluster, so that the work spreads with the nodes.
 */
export function createRedisEvents(link: RedisLink, log: Logger, options: Options = {}): Events {
  const { pollMs = 2_000, ackMs = 500 } = options;
  const here = createListeners(log);
  const processId = randomUUID();
  const subscriber = link.subscriber();
  const acknowledged = new Map<string, Promise<void>>();

  const subscribe = (client: RedisClient, channel: string): Promise<unknown> =>
    link.isCluster ? client.ssubscribe(channel) : client.subscribe(channel);
  const unsubscribe = (client: RedisClient, channel: string): Promise<unknown> =>
    link.isCluster ? client.sunsubscribe(channel) : client.unsubscribe(channel);

  subscriber.on(link.isCluster ? 'smessage' : 'message', (channel: string, payload: string) => {
    const received = parse(payload);
    if (received && received.from !== processId) here.tell(userOf(channel), received.hint);
  });
  // After the first time, a new connection: what was published in between is lost.
  subscriber.on('ready', () => here.tellGap());
  link.onBack(() => here.tellGap());
  const poll = setInterval(() => {
    if (!link.up) here.tellGap();
  }, pollMs);

  return {
    publish(userId, hint) {
      here.tell(userId, hint);
      const payload = JSON.stringify({ from: processId, hint });
      const channel = channelOf(userId);
      link
        .run<unknown>((client) =>
          link.isCluster ? client.spublish(channel, payload) : client.publish(channel, payload),
        )
        .catch(() => {});
    },
    async listen(userId, listener) {
      // Subscribing and unsubscribing go out in the order of these calls, on one connection: the last
      // one counts.
      if (here.add(userId, listener)) {
        const subscribing = subscribe(subscriber, channelOf(userId)).then(
          () => {},
          () => {},
        );
        acknowledged.set(userId, subscribing);
      }
      if (link.up) await atMost(ackMs, acknowledged.get(userId));
      return () => {
        if (!here.remove(userId, listener)) return;
        acknowledged.delete(userId);
        unsubscribe(subscriber, channelOf(userId)).catch(() => {});
      };
    },
    onGap: here.onGap,
    async close() {
      clearInterval(poll);
      subscriber.disconnect();
    },
  };
}

function parse(payload: string): { from: string; hint: Hint } | undefined {
  try {
    return JSON.parse(payload) as { from: string; hint: Hint };
  } catch {
    return undefined;
  }
}

async function atMost(ms: number, promise: Promise<void> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
