import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createSendLimiter, type SendLimiter } from '../src/limits.ts';
import { createLog } from '../src/log.ts';
import { connectRedis, type RedisLink } from '../src/redis.ts';
import { type RedisServer, redisAvailable, startRedis, startRedisCluster } from './kit/redis.ts';

const log = createLog('silent');
const SOON = { timeout: 20_000, interval: 10 };

async function admitted(limiter: SendLimiter, userId: string, times: number): Promise<number> {
  const all = await Promise.all(Array.from({ length: times }, () => limiter.take(userId)));
  return all.filter(({ ok }) => ok).length;
}

describe('the limit of one process', () => {
  it('counts each user alone, and says when to come again', async () => {
    const limiter = createSendLimiter({ perMinute: 3 });
    expect(await admitted(limiter, 'alice', 10)).toBe(3);
    expect(await admitted(limiter, 'bob', 2)).toBe(2);
    const refused = await limiter.take('alice');
    expect(refused).toMatchObject({ ok: false, retryAfterMs: expect.any(Number) });
    expect('retryAfterMs' in refused && refused.retryAfterMs).toBeGreaterThan(50_000);
    expect('retryAfterMs' in refused && refused.retryAfterMs).toBeLessThanOrEqual(60_000);
  });
});

describe.skipIf(!redisAvailable)('the limit of several processes', () => {
  let redis: RedisServer;
  let links: RedisLink[];
  let one: SendLimiter;
  let two: SendLimiter;
  let userId: string;

  beforeEach(async () => {
    redis = await startRedis();
    userId = randomUUID();
    links = [await connectRedis(redis.url, log), await connectRedis(redis.url, log)];
    [one, two] = links.map((link) => createSendLimiter({ link, perMinute: 5 })) as [
      SendLimiter,
      SendLimiter,
    ];
  });
  afterEach(async () => {
    for (const link of links) await link.close();
    await redis.stop();
  });

  it('counts over all of them, under a key that ends', async () => {
    const both = [await admitted(one, userId, 4), await admitted(two, userId, 4)];
    expect(both).toEqual([4, 1]);
    expect(await admitted(one, randomUUID(), 5)).toBe(5);
    const key = `chat:rate:{${userId}}`;
    expect(await redis.client.exists(key)).toBe(1);
    const ttl = await redis.client.pttl(key);
    expect(ttl).toBeGreaterThan(50_000);
    const refused = await two.take(userId);
    expect('retryAfterMs' in refused && refused.retryAfterMs).toBeLessThanOrEqual(ttl);
  });

  it('goes on when Redis has forgotten the script', async () => {
    expect(await admitted(one, userId, 3)).toBe(3);
    await redis.client.script('FLUSH');
    expect(await admitted(one, userId, 3)).toBe(2);
  });

  it.each(['frozen', 'killed'] as const)(
    'counts in each process while Redis is %s, and waits for it once',
    async (how) => {
      await one.take(userId);
      if (how === 'frozen') redis.freeze();
      else await redis.kill();
      const start = performance.now();
      expect(await admitted(one, userId, 20)).toBe(5);
      expect(performance.now() - start).toBeLessThan(300);
      const again = performance.now();
      for (let i = 0; i < 100; i += 1) await one.take(randomUUID());
      expect(performance.now() - again).toBeLessThan(100);
      expect(await admitted(two, userId, 20)).toBe(5);
      if (how === 'frozen') redis.thaw();
      else await redis.start();
      await expect.poll(() => links.every(({ up }) => up), SOON).toBe(true);
      const another = randomUUID();
      const both = [await admitted(one, another, 3), await admitted(two, another, 3)];
      expect(both).toEqual([3, 2]);
    },
  );

  it('refuses nobody because of what else Redis says', async () => {
    await redis.client.rpush(`chat:rate:{${userId}}`, 'no number');
    expect(await admitted(one, userId, 10)).toBe(5);
    await redis.client.config('SET', 'maxmemory', '1mb');
    expect(await admitted(two, userId, 10)).toBe(5);
  });
});

describe.skipIf(!redisAvailable)('the limit on a Redis Cluster', () => {
  it('counts users of every master', async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const link = await connectRedis(cluster.url, log);
    const limiter = createSendLimiter({ link, perMinute: 2 });
    const users = Array.from({ length: 20 }, () => randomUUID());
    const counts = await Promise.all(users.map((user) => admitted(limiter, user, 4)));
    expect(counts).toEqual(users.map(() => 2));
    for (const { client } of cluster.nodes) expect(await client.dbsize()).toBeGreaterThan(0);
    await link.close();
  });
});
