import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Logger } from '../log.ts';
import { countChannels, RedisAway, type RedisLink } from '../redis.ts';
import { atMost } from '../timers.ts';
import type { Events, Hint } from './events.ts';
import { createListeners } from './listeners.ts';

interface Options {
  /** How often listeners look by themselves while Redis is away, in ms. */
  readonly pollMs?: number;
  /** How long `listen` waits for Redis to acknowledge, in ms. */
  readonly ackMs?: number;
}

/** So long gaps are gathered into one: many channels come back at the same time. */
const GAP_MS = 20;

const seq = z.string().regex(/^\d{1,19}$/);

const Payload = z.object({
  from: z.string(),
  hint: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('changed'), seq }),
    z.object({ kind: z.literal('stop'), messageId: z.string() }),
    z.object({ kind: z.literal('ask'), messageId: z.string() }),
    z.object({
      kind: z.literal('text'),
      messageId: z.string(),
      run: seq,
      offset: z.int().nonnegative(),
      text: z.string(),
    }),
  ]),
});

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
  /** Users whose channel Redis acknowledged. */
  const subscribed = new Set<string>();
  /** Users who are listened to already, and whose hints may be lost until Redis acknowledges. */
  const deaf = new Set<string>();
  /** Which numbers could not be told while Redis was away: who listens elsewhere may not have missed it. */
  const untold = new Map<string, bigint>();
  /** What is under way for a user's channel: one step at a time. */
  const steps = new Map<string, Promise<void>>();
  let gap: NodeJS.Timeout | undefined;
  /** Redis has not answered yet. A frozen one is found by nobody who only listens, but for this. */
  let checking = false;

  function tellGapSoon(): void {
    gap ??= setTimeout(() => {
      gap = undefined;
      here.tellGap();
    }, GAP_MS);
  }

  async function tellOthers(userId: string, hint: Hint): Promise<void> {
    const payload = JSON.stringify({ from: processId, hint });
    const channel = channelOf(userId);
    try {
      await link.run<unknown>((client) =>
        link.isCluster ? client.spublish(channel, payload) : client.publish(channel, payload),
      );
    } catch (error) {
      if (hint.kind !== 'changed' || !(error instanceof RedisAway)) return;
      const number = BigInt(hint.seq);
      if (number > (untold.get(userId) ?? 0n)) untold.set(userId, number);
    }
  }

  /** One at a time: thousands at once would time out, which is the next outage. */
  async function tellUntold(): Promise<void> {
    for (const [userId, number] of untold) {
      if (!link.up) return;
      untold.delete(userId);
      await tellOthers(userId, { kind: 'changed', seq: `${number}` });
    }
  }

  async function step(userId: string): Promise<void> {
    const channel = channelOf(userId);
    const wanted = here.has(userId);
    if (!wanted) deaf.delete(userId);
    if (wanted === subscribed.has(userId)) return;
    if (wanted) {
      // ioredis' list of a Cluster's channels else grows by it each time that it is subscribed anew.
      if (link.isCluster) subscriber.sunsubscribe(channel).catch(() => {});
      await (link.isCluster ? subscriber.ssubscribe(channel) : subscriber.subscribe(channel));
      subscribed.add(userId);
      if (deaf.delete(userId)) tellGapSoon();
    } else {
      subscribed.delete(userId);
      await (link.isCluster ? subscriber.sunsubscribe(channel) : subscriber.unsubscribe(channel));
    }
  }

  /** Brings the channel to what the listeners want by then; what fails is tried again while polling. */
  function settle(userId: string): Promise<void> {
    const last = (steps.get(userId) ?? Promise.resolve())
      .then(() => step(userId))
      .catch(() => {})
      .finally(() => {
        if (steps.get(userId) === last) steps.delete(userId);
      });
    steps.set(userId, last);
    return last;
  }

  /** On a new connection: what was published before Redis acknowledges each channel anew is lost. */
  function subscribeAnew(): void {
    for (const userId of subscribed) deaf.add(userId);
    subscribed.clear();
    for (const userId of here.users()) settle(userId);
  }

  /** Asks Redis itself which channels it has for us: only who asks finds a connection that died silently. */
  async function check(): Promise<void> {
    const acknowledged = subscribed.size;
    const found = await countChannels(subscriber);
    // A slot that came back before ioredis looked where it went, lost its channels all the same.
    if (found < Math.min(acknowledged, subscribed.size)) subscribeAnew();
  }

  function poll(): void {
    if (!link.up || checking || deaf.size > 0) here.tellGap();
    for (const userId of here.users()) {
      if (!subscribed.has(userId) && !steps.has(userId)) settle(userId);
    }
    if (checking) return;
    checking = true;
    check()
      .catch(() => {})
      .finally(() => {
        checking = false;
      });
  }

  subscriber.on(link.isCluster ? 'smessage' : 'message', (channel: string, payload: string) => {
    const received = parse(payload);
    if (received && received.from !== processId) here.tell(userOf(channel), received.hint);
  });
  // Emitted by ioredis each time a connection, or one of a Cluster's, was made or made anew.
  subscriber.on(link.isCluster ? 'subscribersReady' : 'ready', subscribeAnew);
  link.onBack(() => {
    tellGapSoon();
    tellUntold();
  });
  const polling = setInterval(poll, pollMs);

  return {
    publish(userId, hint) {
      here.tell(userId, hint);
      tellOthers(userId, hint);
    },
    async listen(userId, listener) {
      const stop = here.add(userId, listener);
      const settled = settle(userId);
      if (link.up) await atMost(ackMs, settled);
      if (!subscribed.has(userId)) deaf.add(userId);
      return () => {
        if (stop()) settle(userId);
      };
    },
    onGap: here.onGap,
    get listeners() {
      return here.size;
    },
    async close() {
      clearInterval(polling);
      clearTimeout(gap);
      subscriber.disconnect();
    },
  };
}

function parse(payload: string): z.infer<typeof Payload> | undefined {
  try {
    return Payload.safeParse(JSON.parse(payload)).data;
  } catch {
    return undefined;
  }
}
