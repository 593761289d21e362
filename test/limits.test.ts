import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSendLimiter, type SendLimiter } from '../src/limits.ts';
import { createLog } from '../src/log.ts';
import { connectRedis, type RedisLink } from '../src/redis.ts';
import {
  hurt,
  misfortunes,
  type RedisServer,
  type RedisSetup,
  redisAvailable,
  redisForms,
} from './kit/redis.ts';

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

describe.skipIf(!redisAvailable).each(redisForms)(
  'the limit of several processes on $form',
  ({ start, parts }) => {
    let redis: RedisSetup;
    let node: RedisServer;
    let links: RedisLink[];
    let one: SendLimiter;
    let two: SendLimiter;
    let userId: string;

    beforeAll(async () => {
      redis = await start();
    });
    beforeEach(async () => {
      // On the node that is hurt where only one is.
      node = redis.nodes.at(-1) as RedisServer;
      userId = redis.userOn(node);
      links = [await connectRedis(redis.url, log), await connectRedis(redis.url, log)];
      [one, two] = links.map((link) => createSendLimiter({ link, perMinute: 5 })) as [
        SendLimiter,
        SendLimiter,
      ];
    });
    afterEach(async () => {
      for (const link of links) await link.close();
      await redis.heal();
    });
    afterAll(() => redis.stop());

    it('counts over all of them, under a key that ends', async () => {
      const both = [await admitted(one, userId, 4), await admitted(two, userId, 4)];
      expect(both).toEqual([4, 1]);
      expect(await admitted(one, randomUUID(), 5)).toBe(5);
      const key = `chat:rate:{${userId}}`;
      expect(await node.client.exists(key)).toBe(1);
      const ttl = await node.client.pttl(key);
      expect(ttl).toBeGreaterThan(50_000);
      const refused = await two.take(userId);
      expect('retryAfterMs' in refused && refused.retryAfterMs).toBeLessThanOrEqual(ttl);
    });

    it('counts users of every node', async () => {
      const users = redis.nodes.map((at) => redis.userOn(at));
      const counts = await Promise.all(users.map((user) => admitted(one, user, 8)));
      expect(counts).toEqual(users.map(() => 5));
      for (const { client } of redis.nodes) expect(await client.dbsize()).toBe(1);
    });

    it('counts nothing that was refused', async () => {
      expect(await admitted(one, userId, 5)).toBe(5);
      expect(await admitted(two, userId, 20)).toBe(0);
      await node.client.del(`chat:rate:{${userId}}`);
      expect(await admitted(two, userId, 20)).toBe(5);
    });

    it('goes on when Redis has forgotten the script', async () => {
      expect(await admitted(one, userId, 3)).toBe(3);
      await node.client.script('FLUSH');
      expect(await admitted(one, userId, 3)).toBe(2);
    });

    it.each(misfortunes(parts))(
      'counts in each process while %s is %s, and asks in vain once',
      async (part, how) => {
        await one.take(userId);
        for (const { client } of redis.nodes) await client.config('RESETSTAT');
        const end = await hurt(redis, part, how);
        // With the one from before: no process admits more than the limit, and so all not more than theirs.
        expect(await admitted(one, userId, 20)).toBe(4);
        for (let i = 0; i < 100; i += 1) await one.take(randomUUID());
        expect(await admitted(two, userId, 20)).toBe(5);
        await end();
        if (how === 'frozen') {
          // What it was sent, it does now.
          const scripts = /cmdstat_evalsha:calls=(\d+),/.exec(
            await node.client.info('commandstats'),
          );
          expect(Number(scripts?.[1] ?? 0)).toBeLessThanOrEqual(40);
        }
        await expect.poll(() => links.every(({ up }) => up), SOON).toBe(true);
        expect(await admitted(one, userId, 1)).toBe(0);
        const another = redis.userOn(node);
        const both = [await admitted(one, another, 3), await admitted(two, another, 3)];
        expect(both).toEqual([3, 2]);
      },
    );

    it('refuses nobody because of what else Redis says', async () => {
      await node.client.rpush(`chat:rate:{${userId}}`, 'no number');
      expect(await admitted(one, userId, 10)).toBe(5);
      await node.client.config('SET', 'maxmemory', '1mb');
      expect(await admitted(two, userId, 10)).toBe(5);
    });
  },
);
