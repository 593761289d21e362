import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
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
import type { PageCache, PageKey } from '../src/cache/cache.ts';
import { createRedisCache } from '../src/cache/redis.ts';
import { connectRedis, type RedisLink } from '../src/redis.ts';
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

const LEASE_MS = 1_000;
const DAY_S = 86_400;
/** What comes by itself, on a machine that may be slow. */
const SOON = { timeout: 20_000, interval: 10 };

const page = (seq: bigint) => ({ seq, body: Buffer.from([Number(seq), 0, 255]) });
const keyOf = (suffix = '50:0:9f2c'): PageKey => ({
  userId: randomUUID(),
  prefix: 'chat:history',
  suffix,
});

function recordingLog() {
  const lines: { level: number; msg: string; reason?: string }[] = [];
  const stream = new Writable({
    write(line, _, done) {
      lines.push(JSON.parse(String(line)));
      done();
    },
  });
  return { lines, log: pino({ base: null }, stream) };
}

async function seenAt(cache: PageCache, key: PageKey): Promise<number> {
  const found = await cache.look(key);
  if (!('seenAt' in found)) throw new Error(`unexpected ${found.kind}`);
  return found.seenAt;
}

const put = async (cache: PageCache, key: PageKey, seq: bigint) =>
  cache.fill(key, page(seq), await seenAt(cache, key), DAY_S);

const OUTAGE = ['Redis is away: going on without it', 'Redis is back'];
// What was told to a node before it is killed, has to be there after it.
const flags = ['--appendonly', 'yes', '--appendfsync', 'always'];

describe.skipIf(!redisAvailable).each(redisForms)('the page cache on $form', ({ start, parts }) => {
  let redis: RedisSetup;
  let link: RedisLink;
  let cache: PageCache;
  let lines: ReturnType<typeof recordingLog>['lines'];
  /** On the node that is hurt where only one is. */
  let key: PageKey;
  let node: RedisServer;
  const said = () => lines.map(({ msg }) => msg);

  beforeAll(async () => {
    redis = await start({ flags });
  });
  beforeEach(async () => {
    const recording = recordingLog();
    lines = recording.lines;
    link = await connectRedis(redis.url, recording.log);
    cache = createRedisCache(link, { leaseMs: LEASE_MS });
    node = redis.nodes.at(-1) as RedisServer;
    key = keyOn(node);
  });
  afterEach(async () => {
    await link.close();
    await redis.heal();
  });
  afterAll(() => redis.stop());

  const keyOn = (at: RedisServer, suffix?: string) => ({
    ...keyOf(suffix),
    userId: redis.userOn(at),
  });
  const isUp = (up: boolean) => expect.poll(() => link.up, SOON).toBe(up);
  const onAll = (command: string, ...args: string[]) =>
    Promise.all(redis.nodes.map(({ client }) => client.call(command, ...args)));
  /** How often scripts were asked for, and what commands were called, since the last RESETSTAT. */
  async function called() {
    const stats = (await onAll('INFO', 'commandstats')).join();
    const scripts = [...stats.matchAll(/cmdstat_evalsha:calls=(\d+),/g)];
    // The topology, which ioredis looks after on connections of their own.
    const ours = /cmdstat_(?!cluster|hello|client|info)([a-z|]+):/g;
    return {
      scripts: scripts.reduce((sum, [, calls]) => sum + Number(calls), 0),
      names: [...new Set([...stats.matchAll(ours)].map(([, name]) => name))].sort(),
    };
  }

  it('names its keys with the user in braces, and lets every one of them end', async () => {
    expect(await put(cache, key, 7n)).toBe(true);
    await cache.advance(key.userId, 8n);
    const user = `{${key.userId}}`;
    const names = [`chat:history:${user}:50:0:9f2c`, `chat:seq:${user}`, `chat:top:${user}`];
    expect(await redis.keys(`*${user}*`)).toEqual(names);
    expect(await node.client.ttl(`chat:history:${user}:50:0:9f2c`)).toBeGreaterThan(DAY_S - 10);
    expect(await node.client.pttl(`chat:seq:${user}`)).toBeLessThanOrEqual(LEASE_MS);
    expect(await node.client.ttl(`chat:top:${user}`)).toBeLessThanOrEqual(3_600);
    for (const name of names) expect(await node.client.pttl(name)).toBeGreaterThan(0);
  });

  it('spreads users over all nodes', async () => {
    for (const { client } of redis.nodes) expect(await client.dbsize()).toBe(0);
    for (const at of redis.nodes) {
      const theirs = keyOn(at);
      await cache.advance(theirs.userId, 6n);
      expect(await put(cache, theirs, 7n)).toBe(true);
      expect(await cache.look(theirs)).toEqual({ kind: 'hit', ...page(7n) });
    }
    for (const { client } of redis.nodes) expect(await client.dbsize()).toBe(3);
  });

  it('asks once for each call, whatever the number of pages, and for no list of keys', async () => {
    const keys = Array.from({ length: 50 }, (_, i) => keyOf(`${i}`));
    for (const one of keys) await put(cache, one, 1n);
    for (const one of keys) await cache.advance(one.userId, 2n);
    const beside = createRedisCache(link, { leaseMs: LEASE_MS });
    // What a node is told first, is the script itself.
    for (const at of redis.nodes) await beside.look(keyOn(at));
    await onAll('CONFIG', 'RESETSTAT');
    for (const one of keys) await beside.look(one);
    const { scripts, names } = await called();
    expect(scripts).toBe(50);
    expect(names).toEqual(['config|resetstat', 'evalsha', 'get', 'hmget', 'time']);
  });

  it('asks for nothing but the lease of a page that it has had', async () => {
    const beside = createRedisCache(link, { leaseMs: LEASE_MS });
    do {
      await put(beside, key, 7n);
      await cache.look(key);
      await onAll('CONFIG', 'RESETSTAT');
      for (let i = 0; i < 5; i += 1) {
        for (const one of [cache, beside]) await one.look(key);
      }
      // Again when the lease ran out meanwhile.
    } while ((await cache.look(key)).kind !== 'hit');
    const asking = redis.nodes.length > 1 ? 'get' : 'mget';
    expect(await called()).toEqual({ scripts: 0, names: ['config|resetstat', asking] });
    expect(await cache.look(key)).toEqual({ kind: 'hit', ...page(7n) });
    await beside.advance(key.userId, 8n);
    for (const one of [cache, beside]) {
      expect(await one.look(key)).toMatchObject({ kind: 'miss', stale: true, seq: 8n });
    }
    await put(beside, key, 8n);
    expect(await cache.look(key)).toEqual({ kind: 'hit', ...page(8n) });
  });

  it('asks a Redis once for all that is wanted to be known at the same time', async () => {
    const keys = Array.from({ length: 10 }, (_, i) => keyOn(node, `${i}`));
    let hits = 0;
    do {
      for (const [i, one] of keys.entries()) await put(cache, one, BigInt(i));
      await onAll('CONFIG', 'RESETSTAT');
      const found = await Promise.all(keys.map(cache.look));
      hits = found.filter(({ kind }) => kind === 'hit').length;
      if (hits < 10) continue;
      expect(found).toEqual(keys.map((_, i) => ({ kind: 'hit', ...page(BigInt(i)) })));
      // Of a Cluster nobody knows which keys are on the same node.
      const times = redis.nodes.length > 1 ? 'get:calls=10' : 'mget:calls=1';
      expect(await node.client.info('commandstats')).toContain(`cmdstat_${times},`);
    } while (hits < 10);
  });

  it('lets nobody prolong a lease', async () => {
    await put(cache, key, 7n);
    const lease = `chat:seq:{${key.userId}}`;
    await node.client.pexpire(lease, 400);
    await cache.advance(key.userId, 8n);
    const seen = await seenAt(cache, key);
    await cache.fill(key, page(8n), seen, DAY_S);
    await cache.renew(key, 8n, seen);
    await cache.renew(key, 9n, seen);
    await cache.look(key);
    expect(await node.client.get(lease)).toBe('9');
    expect(await node.client.pttl(lease)).toBeLessThanOrEqual(400);
  });

  it('takes an answer that has come, though this process stood still meanwhile', async () => {
    await put(cache, key, 7n);
    const found = cache.look(key);
    const end = performance.now() + 400;
    while (performance.now() < end);
    expect(await found).toMatchObject({ kind: 'hit' });
    expect(link.up).toBe(true);
    expect(said()).toEqual([]);
  });

  it('goes on when Redis has forgotten the scripts', async () => {
    await put(cache, key, 7n);
    await onAll('SCRIPT', 'FLUSH');
    expect(await cache.look(key)).toEqual({ kind: 'hit', ...page(7n) });
    await onAll('SCRIPT', 'FLUSH');
    await cache.advance(key.userId, 8n);
    await onAll('SCRIPT', 'FLUSH');
    expect(await put(cache, key, 8n)).toBe(true);
    await node.kill();
    await isUp(false);
    await node.start();
    await expect.poll(async () => (await cache.look(key)).kind, SOON).toBe('unleased');
    await onAll('SCRIPT', 'FLUSH');
    expect(await cache.renew(key, 8n, await seenAt(cache, key))).toEqual(page(8n));
    expect(said()).toEqual(OUTAGE);
  });

  it.each(misfortunes(parts))(
    'asks in vain once while %s is %s, says so once, and fails nobody',
    async (part, how) => {
      await put(cache, key, 7n);
      await onAll('CONFIG', 'RESETSTAT');
      const end = await hurt(redis, part, how);
      const all = await Promise.all(Array.from({ length: 20 }, () => cache.look(key)));
      expect(all).toEqual(all.map(() => ({ kind: 'away' })));
      // Users of the other nodes too: what was told to the one may be lost.
      for (const at of redis.nodes) {
        const theirs = keyOn(at);
        for (let i = 0; i < 50; i += 1) {
          expect(await cache.look(theirs)).toEqual({ kind: 'away' });
          expect(await cache.fill(theirs, page(7n), Date.now(), DAY_S)).toBe(false);
          expect(await cache.renew(theirs, 7n, Date.now())).toBeUndefined();
          expect(await cache.advance(theirs.userId, 8n)).toBeUndefined();
        }
      }
      expect(link.up).toBe(false);
      await end();
      // What a frozen one was sent, it does now.
      if (how === 'frozen') expect((await called()).scripts).toBeLessThanOrEqual(20);
      await isUp(true);
      await expect.poll(async () => (await cache.look(key)).kind, SOON).toBe('unleased');
      expect(await put(cache, key, 8n)).toBe(true);
      expect(await cache.look(key)).toMatchObject({ kind: 'hit' });
      expect(said()).toEqual(OUTAGE);
    },
  );

  it('trusts no lease after an outage until a lease must have run out, and moves them meanwhile', async () => {
    await put(cache, key, 7n);
    node.freeze();
    await cache.advance(key.userId, 8n);
    await cache.advance(key.userId, 9n);
    node.thaw();
    await isUp(true);
    const backAt = performance.now();
    // As another process would leave it, that heard of neither change.
    await node.client.set(`chat:seq:{${key.userId}}`, '7', 'PX', LEASE_MS);
    expect(await cache.look(key)).toEqual({ kind: 'away' });
    expect(await cache.fill(key, page(7n), Date.now(), DAY_S)).toBe(false);
    expect(await cache.renew(key, 7n, Date.now())).toBeUndefined();
    await cache.advance(key.userId, 10n);
    expect(await node.client.get(`chat:seq:{${key.userId}}`)).toBe('10');
    await expect.poll(async () => (await cache.look(key)).kind, SOON).not.toBe('away');
    expect(performance.now() - backAt).toBeGreaterThan(LEASE_MS * 0.9);
  });

  it('trusts leases at once in a process that has just started', async () => {
    await put(cache, key, 7n);
    const another = await connectRedis(redis.url, recordingLog().log);
    const beside = createRedisCache(another, { leaseMs: LEASE_MS });
    expect(await beside.look(key)).toMatchObject({ kind: 'hit' });
    await another.close();
  });

  it('serves nothing once a change could not be told, though Redis still answers reads', async () => {
    await put(cache, key, 7n);
    await onAll('CONFIG', 'SET', 'maxmemory', '1mb');
    await cache.advance(key.userId, 8n);
    expect(await cache.look(key)).toEqual({ kind: 'away' });
    await isUp(false);
    await onAll('CONFIG', 'SET', 'maxmemory', '0');
    await isUp(true);
    expect(await cache.look(key)).toEqual({ kind: 'away' });
    // What Redis says against one command alone, is no outage and is no reason to go on trusting.
    await expect.poll(async () => (await cache.look(key)).kind, SOON).toBe('unleased');
    await put(cache, key, 8n);
    await node.client.del(`chat:top:{${key.userId}}`);
    await node.client.rpush(`chat:top:{${key.userId}}`, 'no number');
    await cache.advance(key.userId, 9n);
    await cache.advance(key.userId, 9n);
    expect(await cache.look(key)).toEqual({ kind: 'away' });
    expect(link.up).toBe(true);
    expect(said()).toEqual([...OUTAGE, 'Redis refused a command']);
  });

  it('runs nothing after an outage that was asked for before it or during it', async () => {
    const refused = { name: 'RedisAway' };
    const [sent, unsent] = ['sent', 'unsent'].map((name) => `${name}:{${key.userId}}`) as [
      string,
      string,
    ];
    node.freeze();
    await expect(link.run((client) => client.set(sent, '1'))).rejects.toMatchObject(refused);
    await expect(link.run((client) => client.set(unsent, '1'))).rejects.toMatchObject(refused);
    await node.kill();
    await node.start();
    await isUp(true);
    expect(await node.client.exists(sent, unsent)).toBe(0);
  });

  it('begins without Redis, and takes it up when it comes', async () => {
    for (const one of redis.nodes) await one.kill();
    const { log, lines: late } = recordingLog();
    const another = await connectRedis(redis.url, log);
    const beside = createRedisCache(another, { leaseMs: 100 });
    expect(another.up).toBe(false);
    expect(await beside.look(key)).toEqual({ kind: 'away' });
    let back = 0;
    another.onBack(() => {
      back += 1;
    });
    for (const one of redis.nodes) await one.start();
    await expect.poll(async () => (await beside.look(key)).kind, SOON).toBe('unleased');
    expect(back).toBe(1);
    expect(late.map(({ msg }) => msg)).toEqual(OUTAGE);
    await another.close();
  });

  it('signs in with the name and password of its URL, and says why when it may not', async () => {
    await onAll('ACL', 'SETUSER', 'chat', 'on', '>p@ss', '~*', '&*', '+@all');
    const at = (login: string) => redis.url.replaceAll('//', `//${login}@`);
    const { log, lines: told } = recordingLog();
    const good = await connectRedis(at('chat:p%40ss'), log);
    expect(good.up).toBe(true);
    for (const one of redis.nodes) {
      const name = await good.run((client) => client.set(`{${redis.userOn(one)}}`, '1'));
      expect(name).toBe('OK');
    }
    expect(told).toEqual([]);
    await good.close();
    const bad = await connectRedis(at('chat:secret'), log);
    expect(bad.up).toBe(false);
    expect(told).toMatchObject([{ msg: OUTAGE[0], reason: expect.stringMatching(/WRONGPASS/) }]);
    expect(JSON.stringify(told)).not.toMatch(/secret/);
    await bad.close();
  });
});

describe.skipIf(!redisAvailable)('the page cache on one Redis of several', () => {
  it('takes a primary that became a replica for one outage, not for many', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const { log, lines } = recordingLog();
    const link = await connectRedis(redis.url, log);
    onTestFinished(() => link.close());
    const cache = createRedisCache(link, { leaseMs: LEASE_MS });
    const userId = randomUUID();
    await redis.client.call('REPLICAOF', '127.0.0.1', '1');
    await cache.advance(userId, 1n);
    expect(link.up).toBe(false);
    const refused = async () =>
      Number(
        /cmdstat_set:.*rejected_calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1] ??
          0,
      );
    await expect.poll(refused, SOON).toBeGreaterThan(2);
    expect(link.up).toBe(false);
    await redis.client.call('REPLICAOF', 'NO', 'ONE');
    await expect.poll(() => link.up, SOON).toBe(true);
    expect(lines.map(({ msg }) => msg)).toEqual(OUTAGE);
    expect(lines[0]?.reason).toMatch(/^READONLY/);
  });
});

describe.skipIf(!redisAvailable)('the page cache on a Redis Cluster', () => {
  it('finds the nodes that REDIS_URL does not name', async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const [, ...some] = cluster.url.split(',');
    const link = await connectRedis(some.join(), recordingLog().log);
    onTestFinished(() => link.close());
    const cache = createRedisCache(link, { leaseMs: LEASE_MS });
    const key = { ...keyOf(), userId: cluster.userOn(cluster.nodes[0] as RedisServer) };
    expect(await put(cache, key, 7n)).toBe(true);
  });
});
