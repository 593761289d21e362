import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { PageCache, PageKey } from '../src/cache/cache.ts';
import { createRedisCache } from '../src/cache/redis.ts';
import { connectRedis, type RedisLink } from '../src/redis.ts';
import { type RedisServer, redisAvailable, startRedis, startRedisCluster } from './kit/redis.ts';

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

describe.skipIf(!redisAvailable)('the page cache on Redis', () => {
  let redis: RedisServer;
  let link: RedisLink;
  let cache: PageCache;
  let lines: ReturnType<typeof recordingLog>['lines'];
  const said = () => lines.map(({ msg }) => msg);
  const OUTAGE = ['Redis is away: going on without it', 'Redis is back'];

  beforeEach(async () => {
    const recording = recordingLog();
    lines = recording.lines;
    redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always');
    link = await connectRedis(redis.url, recording.log);
    cache = createRedisCache(link, { leaseMs: LEASE_MS });
  });
  afterEach(async () => {
    await link.close();
    await redis.stop();
  });

  const isUp = (up: boolean) => expect.poll(() => link.up, SOON).toBe(up);
  const elapsed = async (work: Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await work;
    return performance.now() - start;
  };

  it('names its keys with the user in braces, and lets every one of them end', async () => {
    const key = keyOf();
    expect(await put(cache, key, 7n)).toBe(true);
    await cache.advance(key.userId, 8n);
    const user = `{${key.userId}}`;
    expect((await redis.client.keys('*')).sort()).toEqual([
      `chat:history:${user}:50:0:9f2c`,
      `chat:seq:${user}`,
      `chat:top:${user}`,
    ]);
    expect(await redis.client.ttl(`chat:history:${user}:50:0:9f2c`)).toBeGreaterThan(DAY_S - 10);
    expect(await redis.client.pttl(`chat:seq:${user}`)).toBeLessThanOrEqual(LEASE_MS);
    expect(await redis.client.ttl(`chat:top:${user}`)).toBeLessThanOrEqual(3_600);
    for (const name of await redis.client.keys('*'))
      expect(await redis.client.pttl(name)).toBeGreaterThan(0);
  });

  it('asks once for each call, whatever the number of pages, and for no list of keys', async () => {
    const keys = Array.from({ length: 50 }, (_, i) => keyOf(`${i}`));
    for (const key of keys) await put(cache, key, 1n);
    for (const key of keys) await cache.advance(key.userId, 2n);
    await redis.client.config('RESETSTAT');
    for (const key of keys) await cache.look(key);
    const stats = await redis.client.info('commandstats');
    expect(stats).toMatch(/cmdstat_evalsha:calls=50,/);
    const called = [...stats.matchAll(/cmdstat_([a-z|]+):/g)].map(([, name]) => name);
    expect(called.sort()).toEqual(['config|resetstat', 'evalsha', 'get', 'hget', 'time']);
  });

  it('lets no reader prolong the lease that a writer set', async () => {
    const key = keyOf();
    await cache.advance(key.userId, 8n);
    const lease = `chat:seq:{${key.userId}}`;
    await redis.client.pexpire(lease, 400);
    const seen = await seenAt(cache, key);
    await cache.fill(key, page(8n), seen, DAY_S);
    await cache.renew(key, 8n, seen);
    await cache.renew(key, 9n, seen);
    await cache.look(key);
    expect(await redis.client.get(lease)).toBe('9');
    expect(await redis.client.pttl(lease)).toBeLessThanOrEqual(400);
  });

  it('goes on when Redis has forgotten the scripts', async () => {
    const key = keyOf();
    await put(cache, key, 7n);
    await redis.client.script('FLUSH');
    expect(await cache.look(key)).toEqual({ kind: 'hit', body: page(7n).body });
    await redis.client.script('FLUSH');
    await cache.advance(key.userId, 8n);
    await redis.client.script('FLUSH');
    expect(await put(cache, key, 8n)).toBe(true);
    await redis.kill();
    await isUp(false);
    await redis.start();
    await expect.poll(async () => (await cache.look(key)).kind, SOON).toBe('unleased');
    await redis.client.script('FLUSH');
    expect(await cache.renew(key, 8n, await seenAt(cache, key))).toEqual(page(8n).body);
    expect(said()).toEqual(OUTAGE);
  });

  it.each(['frozen', 'killed'] as const)(
    'waits once while Redis is %s, says so once, and fails nobody',
    async (how) => {
      const key = keyOf();
      await put(cache, key, 7n);
      if (how === 'frozen') redis.freeze();
      else await redis.kill();
      const all = Promise.all(Array.from({ length: 20 }, () => cache.look(key)));
      expect(await elapsed(all)).toBeLessThan(300);
      expect(await all).toEqual(Array.from({ length: 20 }, () => ({ kind: 'away' })));
      const calls = async () => {
        for (let i = 0; i < 200; i += 1) {
          expect(await cache.look(key)).toEqual({ kind: 'away' });
          expect(await cache.fill(key, page(7n), Date.now(), DAY_S)).toBe(false);
          expect(await cache.renew(key, 7n, Date.now())).toBeUndefined();
          expect(await cache.advance(key.userId, 8n)).toBeUndefined();
        }
      };
      expect(await elapsed(calls())).toBeLessThan(150);
      if (how === 'frozen') redis.thaw();
      else await redis.start();
      await isUp(true);
      await expect.poll(async () => (await cache.look(key)).kind, SOON).toBe('unleased');
      expect(await put(cache, key, 8n)).toBe(true);
      expect(await cache.look(key)).toMatchObject({ kind: 'hit' });
      expect(said()).toEqual(OUTAGE);
    },
  );

  it('trusts no lease after an outage until a lease must have run out, and moves them meanwhile', async () => {
    const key = keyOf();
    await put(cache, key, 7n);
    redis.freeze();
    await cache.advance(key.userId, 8n);
    await cache.advance(key.userId, 9n);
    redis.thaw();
    await isUp(true);
    const backAt = performance.now();
    // As another process would leave it, that heard of neither change.
    await redis.client.set(`chat:seq:{${key.userId}}`, '7', 'PX', LEASE_MS);
    expect(await cache.look(key)).toEqual({ kind: 'away' });
    expect(await cache.fill(key, page(7n), Date.now(), DAY_S)).toBe(false);
    expect(await cache.renew(key, 7n, Date.now())).toBeUndefined();
    await cache.advance(key.userId, 10n);
    expect(await redis.client.get(`chat:seq:{${key.userId}}`)).toBe('10');
    await expect.poll(async () => (await cache.look(key)).kind, SOON).not.toBe('away');
    expect(performance.now() - backAt).toBeGreaterThan(LEASE_MS * 0.9);
  });

  it('trusts leases at once in a process that has just started', async () => {
    const key = keyOf();
    await put(cache, key, 7n);
    const another = await connectRedis(redis.url, recordingLog().log);
    const beside = createRedisCache(another, { leaseMs: LEASE_MS });
    expect(await beside.look(key)).toMatchObject({ kind: 'hit' });
    await another.close();
  });

  it('serves nothing once a change could not be told, though Redis still answers reads', async () => {
    const key = keyOf();
    await put(cache, key, 7n);
    await redis.client.config('SET', 'maxmemory', '1mb');
    await cache.advance(key.userId, 8n);
    expect(await cache.look(key)).toEqual({ kind: 'away' });
    await isUp(false);
    await redis.client.config('SET', 'maxmemory', '0');
    await isUp(true);
    expect(await cache.look(key)).toEqual({ kind: 'away' });
    // What Redis says against one command alone, is no outage and is no reason to go on trusting.
    await expect.poll(async () => (await cache.look(key)).kind, SOON).toBe('unleased');
    await put(cache, key, 8n);
    await redis.client.del(`chat:top:{${key.userId}}`);
    await redis.client.rpush(`chat:top:{${key.userId}}`, 'no number');
    await cache.advance(key.userId, 9n);
    await cache.advance(key.userId, 9n);
    expect(await cache.look(key)).toEqual({ kind: 'away' });
    expect(link.up).toBe(true);
    expect(said()).toEqual([...OUTAGE, 'Redis refused a command']);
  });

  it('takes a primary that became a replica for one outage, not for many', async () => {
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
    await isUp(true);
    expect(said()).toEqual(OUTAGE);
    expect(lines[0]?.reason).toMatch(/^READONLY/);
  });

  it('runs nothing after an outage that was asked for before it or during it', async () => {
    redis.freeze();
    const refused = { name: 'RedisAway' };
    await expect(link.run((client) => client.set('sent', '1'))).rejects.toMatchObject(refused);
    await expect(link.run((client) => client.set('unsent', '1'))).rejects.toMatchObject(refused);
    await redis.kill();
    await redis.start();
    await isUp(true);
    expect(await redis.client.exists('sent', 'unsent')).toBe(0);
  });

  it('begins without Redis, and takes it up when it comes', async () => {
    await redis.kill();
    const { log, lines: late } = recordingLog();
    const another = await connectRedis(redis.url, log);
    const beside = createRedisCache(another, { leaseMs: 100 });
    expect(another.up).toBe(false);
    expect(await beside.look(keyOf())).toEqual({ kind: 'away' });
    let back = 0;
    another.onBack(() => {
      back += 1;
    });
    await redis.start();
    await expect.poll(async () => (await beside.look(keyOf())).kind, SOON).toBe('unleased');
    expect(back).toBe(1);
    expect(late.map(({ msg }) => msg)).toEqual(OUTAGE);
    await another.close();
  });

  it('signs in with the name and password of its URL, and says why when it may not', async () => {
    const user = ['on', '>p@ss', '~*', '&*', '+@all'];
    await redis.client.call('ACL', 'SETUSER', 'chat', ...user);
    const at = (login: string) => redis.url.replace('//', `//${login}@`);
    const { log, lines: told } = recordingLog();
    const good = await connectRedis(at('chat:p%40ss'), log);
    expect(good.up).toBe(true);
    expect(told).toEqual([]);
    await good.close();
    const bad = await connectRedis(at('chat:secret'), log);
    expect(bad.up).toBe(false);
    expect(told).toMatchObject([{ msg: OUTAGE[0], reason: expect.stringMatching(/^WRONGPASS/) }]);
    expect(JSON.stringify(told)).not.toMatch(/secret/);
    await bad.close();
  });
});

describe.skipIf(!redisAvailable)('the page cache on a Redis Cluster', () => {
  it('spreads users over the masters, and is away for all while one of them is', async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const { log, lines } = recordingLog();
    const user = ['on', '>p@ss', '~*', '&*', '+@all'];
    for (const { client } of cluster.nodes) await client.call('ACL', 'SETUSER', 'chat', ...user);
    const link = await connectRedis(cluster.url, log);
    const cache = createRedisCache(link, { leaseMs: 100 });
    const keys = Array.from({ length: 30 }, () => keyOf());
    // Knows two of the three nodes, and finds the third by itself.
    const [, ...some] = cluster.url.replaceAll('//', '//chat:p%40ss@').split(',');
    const signedIn = await connectRedis(some.join(), log);
    for (const { userId } of keys)
      await signedIn.run((client) => client.del(`chat:seq:{${userId}}`));
    await signedIn.close();
    const kinds = async () =>
      new Set((await Promise.all(keys.map((key) => cache.look(key)))).map(({ kind }) => kind));
    for (const key of keys) {
      await cache.advance(key.userId, 6n);
      expect(await put(cache, key, 7n)).toBe(true);
      expect(await cache.look(key)).toEqual({ kind: 'hit', body: page(7n).body });
    }
    for (const { client } of cluster.nodes) expect(await client.dbsize()).toBeGreaterThan(0);

    const [, lost] = cluster.nodes;
    await lost?.kill();
    await expect.poll(() => link.up, SOON).toBe(false);
    const start = performance.now();
    expect(await kinds()).toEqual(new Set(['away']));
    expect(performance.now() - start).toBeLessThan(100);
    await lost?.start();
    await expect.poll(kinds, SOON).toEqual(new Set(['unleased']));
    expect(lines.map(({ msg }) => msg)).toEqual([
      'Redis is away: going on without it',
      'Redis is back',
    ]);
    await link.close();
  });
});
