import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
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
import { createLog } from '../src/log.ts';
import { connectRedis, type RedisLink } from '../src/redis.ts';
import { type RedisServer, redisAvailable, startRedis, startRedisCluster } from './kit/redis.ts';

const silent = createLog('silent');
const SOON = { timeout: 20_000, interval: 10 };
const changed = (seq: number): Hint => ({ kind: 'changed', seq: `${seq}` });

/** Listens, and keeps what it hears. */
async function hear(events: Events, userId: string) {
  const heard: Hint[] = [];
  const stop = await events.listen(userId, (hint) => heard.push(hint));
  return { heard, stop };
}

let redis: RedisServer | undefined;
beforeAll(async () => {
  if (redisAvailable) redis = await startRedis();
});
afterAll(() => redis?.stop());

/** One process, or two of them. */
async function processes(form: 'memory' | 'redis', log = silent, url = redis?.url) {
  if (form === 'memory') {
    const events = createMemoryEvents(log);
    return { one: events, two: events, stop: () => events.close() };
  }
  const links: RedisLink[] = [];
  const start = async () => {
    const link = await connectRedis(url ?? '', log);
    links.push(link);
    return createRedisEvents(link, log, { pollMs: 100 });
  };
  const [one, two] = [await start(), await start()];
  const stop = async () => {
    for (const events of [one, two]) await events.close();
    for (const link of links) await link.close();
  };
  return { one, two, stop };
}

describe.each([
  { form: 'memory' as const, available: true },
  { form: 'redis' as const, available: redisAvailable },
])('events in the form of $form', ({ form, available }) => {
  let one: Events;
  let two: Events;
  let stop: () => Promise<void>;
  let userId: string;
  const logged: string[] = [];
  beforeEach(async () => {
    if (!available) return;
    userId = randomUUID();
    const stream = new Writable({
      write(line, _, done) {
        logged.push(String(line));
        done();
      },
    });
    ({ one, two, stop } = await processes(form, pino({ level: 'error' }, stream)));
  });
  afterEach(() => stop?.());

  it.runIf(available)(
    'are heard at once in the process that says them, and only once',
    async () => {
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
    },
  );

  it.runIf(available)('carry both kinds, in the order in which they are said', async () => {
    const { heard } = await hear(two, userId);
    const said: Hint[] = [changed(7), { kind: 'stop', messageId: randomUUID() }, changed(8)];
    for (const hint of said) one.publish(userId, hint);
    await expect.poll(() => heard, SOON).toEqual(said);
  });

  it.runIf(available)('reach one user, and no other', async () => {
    const mine = await hear(two, userId);
    const other = await hear(two, randomUUID());
    one.publish(userId, changed(1));
    await expect.poll(() => mine.heard, SOON).toEqual([changed(1)]);
    expect(other.heard).toEqual([]);
  });

  it.runIf(available)('end for the one who stops, however often, and for nobody else', async () => {
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

  it.runIf(available)('go on past a listener that throws, which is logged', async () => {
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
});

describe.skipIf(!redisAvailable)('events through Redis', () => {
  let own: RedisServer;
  let one: Events;
  let two: Events;
  let stop: () => Promise<void>;
  let gaps: number;
  const userId = randomUUID();
  const channels = async () => ((await own.client.pubsub('CHANNELS')) as string[]).sort();
  const channelOf = (user: string) => `chat:events:{${user}}`;

  beforeEach(async () => {
    own = await startRedis();
    ({ one, two, stop } = await processes('redis', silent, own.url));
    gaps = 0;
    two.onGap(() => {
      gaps += 1;
    });
  });
  afterEach(async () => {
    await stop();
    await own.stop();
  });

  it('have a channel for a user only while somebody listens', async () => {
    expect(await channels()).toEqual([]);
    const first = await hear(two, userId);
    expect(await channels()).toEqual([channelOf(userId)]);
    const second = await hear(two, userId);
    first.stop();
    one.publish(userId, changed(1));
    await expect.poll(() => second.heard, SOON).toEqual([changed(1)]);
    expect(await channels()).toEqual([channelOf(userId)]);
    second.stop();
    await expect.poll(channels, SOON).toEqual([]);
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
    await expect.poll(channels, SOON).toEqual([]);
    const stays = await Promise.all(users.slice(0, 4).map((user) => hear(two, user)));
    for (const user of users) one.publish(user, changed(1));
    for (const { heard } of stays) await expect.poll(() => heard, SOON).toEqual([changed(1)]);
    expect(await channels()).toEqual(users.slice(0, 4).map(channelOf).sort());
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
    for (const payload of payloads) await own.client.publish(channelOf(userId), payload);
    one.publish(userId, changed(1));
    await expect.poll(() => heard, SOON).toEqual([changed(1)]);
  });

  it('tell of a gap when the subscriber alone was cut off, and hear again by then', async () => {
    const { heard } = await hear(two, userId);
    await own.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await expect.poll(() => gaps, SOON).toBe(1);
    one.publish(userId, changed(1));
    await expect.poll(() => heard, SOON).toEqual([changed(1)]);
    expect(gaps).toBe(1);
  });

  it.each(['frozen', 'killed'] as const)('go on in the process while Redis is %s', async (how) => {
    const before = await hear(two, userId);
    if (how === 'frozen') own.freeze();
    else await own.kill();
    two.publish(userId, changed(1));
    expect(before.heard).toEqual([changed(1)]);
    // Somebody polls for the others.
    await expect.poll(() => gaps, SOON).toBeGreaterThan(3);
    const start = performance.now();
    (await hear(two, randomUUID())).stop();
    const newcomer = randomUUID();
    const during = await hear(two, newcomer);
    expect(performance.now() - start).toBeLessThan(100);
    if (how === 'frozen') own.thaw();
    else await own.start();
    await expect.poll(channels, SOON).toEqual([userId, newcomer].map(channelOf).sort());
    // Its process may still find Redis away.
    await expect
      .poll(() => {
        one.publish(newcomer, changed(2));
        return during.heard.length;
      }, SOON)
      .toBeGreaterThan(0);
    one.publish(userId, changed(3));
    await expect.poll(() => before.heard, SOON).toContainEqual(changed(3));
  });

  it('lose nothing between listening late and being told of it', async () => {
    await own.kill();
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
    await own.start();
    while ((await channels()).length === 0) {
      write();
      await sleep(1);
    }
    write();
    await expect.poll(() => known, { timeout: 5_000, interval: 10 }).toBe(truth);
  });
});

describe.skipIf(!redisAvailable)('events through a Redis Cluster', () => {
  it('reach users of every master, also after one of them was away', async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const { one, two, stop } = await processes('redis', silent, cluster.url);
    let gaps = 0;
    two.onGap(() => {
      gaps += 1;
    });
    const users = Array.from({ length: 12 }, () => randomUUID());
    const all = await Promise.all(users.map((user) => hear(two, user)));
    const heardOf = (seq: number) =>
      all.filter(({ heard }) => heard.some((hint) => 'seq' in hint && hint.seq === `${seq}`))
        .length;
    const sharded = async () =>
      Promise.all(
        cluster.nodes.map(
          async ({ client }) => ((await client.call('PUBSUB', 'SHARDCHANNELS')) as string[]).length,
        ),
      );
    for (const user of users) one.publish(user, changed(1));
    await expect.poll(() => heardOf(1), SOON).toBe(users.length);
    const spread = await sharded();
    expect(spread.reduce((a, b) => a + b)).toBe(users.length);

    const [, lost] = cluster.nodes;
    await lost?.kill();
    await expect.poll(() => gaps, SOON).toBeGreaterThan(0);
    await lost?.start();
    await expect.poll(sharded, SOON).toEqual(spread);
    await expect
      .poll(() => {
        for (const user of users) one.publish(user, changed(2));
        return Promise.resolve(heardOf(2));
      }, SOON)
      .toBe(users.length);
    for (const { stop: stopOne } of all) stopOne();
    await expect.poll(sharded, SOON).toEqual([0, 0, 0]);
    await stop();
  });
});
