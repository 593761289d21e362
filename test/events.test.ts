import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
} from 'vitest';
import type { Events, Hint } from '../src/events/events.ts';
import { createMemoryEvents } from '../src/events/memory.ts';
import { createRedisEvents } from '../src/events/redis.ts';
import { createLog, type Logger } from '../src/log.ts';
import { connectRedis, type RedisLink } from '../src/redis.ts';
import type { Any } from './kit/client.ts';
import { startGate } from './kit/gate.ts';
import {
  hurt,
  misfortunes,
  type RedisServer,
  type RedisSetup,
  redisAvailable,
  redisForms,
  startRedis,
  startRedisCluster,
} from './kit/redis.ts';

const silent = createLog('silent');
const SOON = { timeout: 20_000, interval: 10 };
const changed = (seq: number): Hint => ({ kind: 'changed', seq: `${seq}` });
const channelOf = (userId: string) => `chat:events:{${userId}}`;

/** Listens, and keeps what it hears. */
async function hear(events: Events, userId: string) {
  const heard: Hint[] = [];
  const stop = await events.listen(userId, (hint) => heard.push(hint));
  return { heard, stop };
}

type Processes = Awaited<ReturnType<typeof processesOn>>;

async function processesOn(url: string, log = silent) {
  const links: RedisLink[] = [];
  const start = async () => {
    const link = await connectRedis(url, log);
    links.push(link);
    return createRedisEvents(link, log, { pollMs: 100 });
  };
  const [one, two] = [await start(), await start()];
  const stop = async () => {
    for (const events of [one, two]) await events.close();
    for (const link of links) await link.close();
  };
  return { one, two, links, stop };
}

/** What holds whether there is Redis between the processes, or but one process. */
function testForm(start: (log: Logger) => Promise<Omit<Processes, 'links'>>): void {
  let one: Events;
  let two: Events;
  let stop: () => Promise<void>;
  let userId: string;
  const logged: string[] = [];
  beforeEach(async () => {
    userId = randomUUID();
    const stream = new Writable({
      write(line, _, done) {
        logged.push(String(line));
        done();
      },
    });
    ({ one, two, stop } = await start(pino({ level: 'error' }, stream)));
  });
  afterEach(() => stop());

  it('are heard at once in the process that says them, and only once', async () => {
    const mine = await hear(one, userId);
    const theirs = await hear(two, userId);
    one.publish(userId, changed(1));
    expect(mine.heard).toEqual([changed(1)]);
    await expect.poll(() => theirs.heard, SOON).toEqual([changed(1)]);
    two.publish(userId, changed(2));
    expect(theirs.heard).toEqual([changed(1), changed(2)]);
    await expect.poll(() => mine.heard, SOON).toEqual([changed(1), changed(2)]);
    // Behind any echo of the second.
    one.publish(userId, changed(3));
    const all = [changed(1), changed(2), changed(3)];
    await expect.poll(() => theirs.heard, SOON).toEqual(all);
    expect(mine.heard).toEqual(all);
  });

  it('carry every kind, in the order in which they are said', async () => {
    const { heard } = await hear(two, userId);
    const messageId = randomUUID();
    const said: Hint[] = [
      changed(7),
      { kind: 'stop', messageId },
      { kind: 'text', messageId, run: '7', offset: 3, text: 'a 🌅' },
      { kind: 'ask', messageId },
      changed(8),
    ];
    for (const hint of said) one.publish(userId, hint);
    await expect.poll(() => heard, SOON).toEqual(said);
  });

  it('reach one user, and no other', async () => {
    const mine = await hear(two, userId);
    const other = await hear(two, randomUUID());
    one.publish(userId, changed(1));
    await expect.poll(() => mine.heard, SOON).toEqual([changed(1)]);
    expect(other.heard).toEqual([]);
  });

  it('end for the one who stops, however often, and for nobody else', async () => {
    const heard: string[] = [];
    const same = (hint: Hint) => heard.push(hint.kind);
    const stopOne = await two.listen(userId, same);
    const stopOther = await two.listen(userId, same);
    expect(two.listeners).toBe(2);
    stopOne();
    stopOne();
    expect(two.listeners).toBe(1);
    one.publish(userId, changed(1));
    await expect.poll(() => heard, SOON).toEqual(['changed']);
    stopOther();
    expect(two.listeners).toBe(0);
    two.publish(userId, changed(2));
    expect(heard).toEqual(['changed']);
  });

  it('go on past a listener that throws, which is logged', async () => {
    const mine = await hear(two, randomUUID());
    await two.listen(userId, () => {
      throw new Error('a fault of a listener');
    });
    const { heard } = await hear(two, userId);
    two.publish(userId, changed(1));
    expect(heard).toEqual([changed(1)]);
    expect(logged.splice(0).join()).toMatch(/a fault of a listener/);
    expect(mine.heard).toEqual([]);
  });
}

describe('events in the process', () => {
  testForm(async (log) => {
    const events = createMemoryEvents(log);
    return { one: events, two: events, stop: () => events.close() };
  });
});

describe.skipIf(!redisAvailable).each(redisForms)('events through $form', ({ start, parts }) => {
  let redis: RedisSetup;
  beforeAll(async () => {
    redis = await start();
  });
  afterEach(() => redis.heal());
  afterAll(() => redis.stop());

  describe('in two processes', () => {
    testForm((log) => processesOn(redis.url, log));
  });

  describe('between two processes', () => {
    let one: Events;
    let two: Events;
    let links: RedisLink[];
    let stop: () => Promise<void>;
    let gaps: number;
    let userId: string;

    beforeEach(async () => {
      ({ one, two, links, stop } = await processesOn(redis.url));
      gaps = 0;
      two.onGap(() => {
        gaps += 1;
      });
      // On the node that is hurt where only one is.
      userId = redis.userOn(redis.nodes.at(-1) as RedisServer);
    });
    afterEach(() => stop());

    /** Says it again until it is heard: the process that says it may still find Redis away. */
    const heardAgain = (user: string, heard: Hint[], seq: number) =>
      expect
        .poll(() => {
          one.publish(user, changed(seq));
          return heard;
        }, SOON)
        .toContainEqual(changed(seq));

    it('have a channel for a user only while somebody listens', async () => {
      expect(await redis.channels()).toEqual([]);
      const first = await hear(two, userId);
      expect(await redis.channels()).toEqual([channelOf(userId)]);
      const second = await hear(two, userId);
      first.stop();
      one.publish(userId, changed(1));
      await expect.poll(() => second.heard, SOON).toEqual([changed(1)]);
      expect(await redis.channels()).toEqual([channelOf(userId)]);
      second.stop();
      await expect.poll(redis.channels, SOON).toEqual([]);
    });

    it('come over one connection a process to each node that has listeners, and to no other', async () => {
      const subscribers = () =>
        Promise.all(
          redis.nodes.map(async ({ client }) => {
            const list = (await client.call('CLIENT', 'LIST', 'TYPE', 'pubsub')) as string;
            return list.split('\n').filter(Boolean).length;
          }),
        );
      const none = redis.nodes.map(() => 0);
      expect(await subscribers()).toEqual(none);
      for (let i = 0; i < 10; i += 1) await hear(two, redis.userOn(redis.nodes[0] as RedisServer));
      expect(await subscribers()).toEqual(none.with(0, 1));
      for (const node of redis.nodes) {
        for (let i = 0; i < 10; i += 1) await hear(two, redis.userOn(node));
      }
      expect(await subscribers()).toEqual(redis.nodes.map(() => 1));
      await hear(one, userId);
      expect(await subscribers()).toEqual(none.fill(1).with(-1, 2));
    });

    it('end up right after any mix of coming and going', async () => {
      const users = Array.from({ length: 8 }, () => randomUUID());
      const device = async () => {
        for (let i = 0; i < 40; i += 1) {
          const listening = hear(two, users[Math.floor(Math.random() * users.length)] as string);
          if (Math.random() < 0.5) await sleep(Math.random() * 3);
          (await listening).stop();
        }
      };
      await Promise.all(Array.from({ length: 12 }, device));
      expect(two.listeners).toBe(0);
      await expect.poll(redis.channels, SOON).toEqual([]);
      const stays = await Promise.all(users.slice(0, 4).map((user) => hear(two, user)));
      for (const user of users) one.publish(user, changed(1));
      for (const { heard } of stays) await expect.poll(() => heard, SOON).toEqual([changed(1)]);
      expect(await redis.channels()).toEqual(users.slice(0, 4).map(channelOf).sort());
    });

    it('let nothing through that is no hint', async () => {
      const { heard } = await hear(two, userId);
      const from = randomUUID();
      const wrong = [
        { kind: 'gone' },
        { kind: 'changed', seq: 7 },
        { kind: 'changed', seq: '1e9' },
        { kind: 'stop' },
      ];
      const payloads = ['', 'no JSON', '5', 'null', '[]', '{}', '"text"', JSON.stringify({ from })];
      for (const hint of wrong) payloads.push(JSON.stringify({ from, hint }));
      const publish = links[0]?.isCluster ? 'SPUBLISH' : 'PUBLISH';
      for (const payload of payloads) {
        await redis.nodeOf(userId).client.call(publish, channelOf(userId), payload);
      }
      one.publish(userId, changed(1));
      await expect.poll(() => heard, SOON).toEqual([changed(1)]);
    });

    it('tell of a gap when the subscriber alone was cut off, and hear again by then', async () => {
      const { heard } = await hear(two, userId);
      const elsewhere = await hear(two, redis.userOn(redis.nodes[0] as RedisServer));
      await redis.nodeOf(userId).client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await expect.poll(() => gaps, SOON).toBe(1);
      one.publish(userId, changed(1));
      await expect.poll(() => heard, SOON).toEqual([changed(1)]);
      expect(gaps).toBe(1);
      expect(elsewhere.heard).toEqual([]);
    });

    it('ask for each channel once, however often the connection was made anew', async () => {
      const { client } = redis.nodeOf(userId);
      await hear(two, userId);
      const monitor = await client.monitor();
      onTestFinished(() => monitor.disconnect());
      const asked: string[][] = [];
      monitor.on('monitor', (_time: string, [name = '', ...channels]: string[]) => {
        if (/^s?subscribe$/i.test(name)) asked.push(channels);
      });
      for (let cuts = 1; cuts <= 4; cuts += 1) {
        await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
        await expect.poll(() => gaps, SOON).toBe(cuts);
      }
      await expect.poll(() => asked.length, SOON).toBeGreaterThanOrEqual(4);
      for (const channels of asked) expect(channels).toEqual([channelOf(userId)]);
    });

    it('are polled for while Redis lets nobody listen, though it is there', async () => {
      const acl = (...rules: string[]) =>
        Promise.all(
          redis.nodes.map(({ client }) => client.call('ACL', 'SETUSER', 'default', ...rules)),
        );
      const before = await hear(two, userId);
      await acl('resetchannels');
      onTestFinished(async () => void (await acl('&*')));
      const during = await hear(two, userId);
      await expect.poll(() => gaps, SOON).toBeGreaterThan(3);
      expect(links.map(({ up }) => up)).toEqual([true, true]);
      await acl('&*');
      await expect.poll(redis.channels, SOON).toEqual([channelOf(userId)]);
      one.publish(userId, changed(1));
      for (const { heard } of [before, during]) {
        await expect.poll(() => heard, SOON).toEqual([changed(1)]);
      }
      // Who has left is waited for no more.
      await acl('resetchannels');
      const left = await hear(two, redis.userOn(redis.nodes[0] as RedisServer));
      for (const { stop: leave } of [before, during, left]) leave();
      await expect.poll(() => two.listeners).toBe(0);
      const gapsInAWhile = async () => {
        const sofar = gaps;
        await sleep(300);
        return gaps - sofar;
      };
      await expect.poll(gapsInAWhile, SOON).toBe(0);
    });

    it.each(misfortunes(parts))('go on in the process while %s is %s', async (part, how) => {
      const before = await hear(two, userId);
      const end = await hurt(redis, part, how);
      // Also in a process that says nothing itself, and so is told by nobody that Redis is away.
      await expect.poll(() => gaps, SOON).toBeGreaterThan(3);
      two.publish(userId, changed(1));
      expect(before.heard).toEqual([changed(1)]);
      // Waits for nobody who does not answer.
      (await hear(two, userId)).stop();
      const newcomer = redis.userOn(redis.nodeOf(userId));
      const during = await hear(two, newcomer);
      await end();
      const both = [userId, newcomer].map(channelOf).sort();
      await expect.poll(redis.channels, SOON).toEqual(both);
      await heardAgain(newcomer, during.heard, 2);
      await heardAgain(userId, before.heard, 3);
      before.stop();
      during.stop();
      await expect.poll(redis.channels, SOON).toEqual([]);
    });

    it('lose nothing between listening late and being told of it', async () => {
      const node = redis.nodeOf(userId);
      await node.kill();
      await expect.poll(() => gaps, SOON).toBeGreaterThan(0);
      // What PostgreSQL would say, and what a device knows: told by hints, or by looking at each gap.
      let truth = 0;
      let known = 0;
      await two.listen(userId, (hint) => {
        if (hint.kind === 'changed') known = Math.max(known, Number(hint.seq));
      });
      two.onGap(() => {
        known = truth;
      });
      const write = () => {
        truth += 1;
        one.publish(userId, changed(truth));
      };
      await node.start();
      while ((await redis.channels()).length === 0) {
        write();
        await sleep(1);
      }
      write();
      await expect.poll(() => known, SOON).toBe(truth);
    });
  });
});

describe.skipIf(!redisAvailable).each(redisForms)('a silent cut from $form', ({ start }) => {
  it('of the subscriber alone is noticed and told, and hints come again', async () => {
    const redis = await start({ proxied: true });
    onTestFinished(() => redis.stop());
    const { one, two, links, stop } = await processesOn(redis.url);
    onTestFinished(stop);
    const users = redis.nodes.map((node) => redis.userOn(node));
    const all = await Promise.all(users.map((user) => hear(two, user)));
    let gaps = 0;
    two.onGap(() => {
      gaps += 1;
    });
    redis.silenceSubscribers();
    await expect.poll(() => gaps, SOON).toBeGreaterThan(0);
    await expect
      .poll(() => {
        for (const user of users) one.publish(user, changed(1));
        return all.every(({ heard }) => heard.length > 0);
      }, SOON)
      .toBe(true);
    expect(links.map(({ up }) => up)).toEqual([true, true]);
  });
});

describe.skipIf(!redisAvailable)('events of a process that alone was cut off from Redis', () => {
  it('are told once it is back, the newest of each user', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const gate = await startGate(redis.url);
    onTestFinished(() => gate.close());
    const [cutOff, other] = [await processesOn(gate.url), await processesOn(redis.url)];
    onTestFinished(other.stop);
    onTestFinished(cutOff.stop);
    const users = Array.from({ length: 50 }, () => randomUUID());
    const all = await Promise.all(users.map((user) => hear(other.one, user)));
    gate.shut();
    for (const seq of [1, 3, 2]) {
      for (const user of users) cutOff.one.publish(user, changed(seq));
    }
    await expect.poll(() => cutOff.links[0]?.up, SOON).toBe(false);
    gate.open();
    for (const { heard } of all) await expect.poll(() => heard, SOON).toEqual([changed(3)]);
  });
});

describe.skipIf(!redisAvailable)('events through a Redis Cluster that changes', () => {
  let one: Events;
  let two: Events;
  let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
  let userId: string;
  let from: RedisServer;
  let heard: Hint[];
  let gaps = 0;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    const processes = await processesOn(cluster.url);
    ({ one, two } = processes);
    onTestFinished(processes.stop);
    from = cluster.nodes[0] as RedisServer;
    userId = cluster.userOn(from);
    ({ heard } = await hear(two, userId));
    two.onGap(() => {
      gaps += 1;
    });
    gaps = 0;
  });

  const hearsAgain = () =>
    expect
      .poll(() => {
        one.publish(userId, changed(gaps));
        return heard.length;
      }, SOON)
      .toBeGreaterThan(0);

  it('print nothing that fails on a connection which ioredis has given up', async () => {
    const link = await connectRedis(cluster.url, silent);
    onTestFinished(() => link.close());
    const subscriber = link.subscriber() as Any;
    await subscriber.ssubscribe(channelOf(userId));
    const shards: Any[] = [...subscriber.shardedSubscribers.shardedSubscribers.values()];
    const connections: Redis[] = shards.map((shard) => shard.getInstance());
    subscriber.disconnect();
    expect(connections.map((one) => one.listenerCount('error'))).toEqual([1, 1, 1]);
  });

  it('follow a slot to another master', async () => {
    const [, to] = cluster.nodes as [RedisServer, RedisServer];
    await cluster.giveSlot(userId, to, [to, from, ...cluster.nodes]);
    await expect.poll(() => gaps, SOON).toBeGreaterThan(0);
    await hearsAgain();
    expect(await channelsAt(to.client)).toEqual([channelOf(userId)]);
    expect(await cluster.channels()).toEqual([channelOf(userId)]);
  });

  it('come again after a slot that was given up and taken back before anybody looked', async () => {
    const [, to] = cluster.nodes as [RedisServer, RedisServer];
    await cluster.giveSlot(userId, to, [from]);
    await cluster.giveSlot(userId, from, [from]);
    await expect.poll(() => gaps, SOON).toBeGreaterThan(0);
    await hearsAgain();
    expect(await channelsAt(from.client)).toEqual([channelOf(userId)]);
  });

  // The last one: the cluster is not the same after it.
  it('follow a master that died to the replica that takes over', async () => {
    const replica = await cluster.addReplicaOf(from);
    await from.kill();
    await expect.poll(() => channelsAt(replica.client), SOON).toEqual([channelOf(userId)]);
    expect(gaps).toBeGreaterThan(0);
    heard.length = 0;
    await hearsAgain();
  });
});

const channelsAt = async (client: Redis) =>
  (await client.call('PUBSUB', 'SHARDCHANNELS')) as string[];
