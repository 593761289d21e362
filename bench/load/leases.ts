import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createRedisCache } from '../../src/cache/redis.ts';
import { createLog } from '../../src/log.ts';
import { connectRedis, type RedisLink } from '../../src/redis.ts';
import { serve } from '../kit/remote.ts';
import { percentile } from '../kit/statistics.ts';

export interface LeasesLoad {
  connect(given: { redisUrl: string }): Promise<void>;
  /** Lets Redis hold so many keys, of users who are not there just now. */
  fill(keys: number): Promise<void>;
  /** What makes a user's pages invalid, so often, one after the other; in ms. */
  invalidate(given: { as: Invalidator; times: number }): Promise<{ p50: number; p99: number }>;
}

/** The product's lease, or a scan for the keys of a user, which the design that it replaces has. */
export type Invalidator = 'chatkeep' | 'scan';

/** Pages of a user that are cached. */
const PAGES = 4;
const AT_A_TIME = 5_000;

let link: RedisLink;
let redis: Redis;

async function scan(userId: string): Promise<void> {
  const found: string[] = [];
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(
      cursor,
      'MATCH',
      `chat:history:${userId}:*`,
      'COUNT',
      100,
    );
    cursor = next;
    found.push(...keys);
  } while (cursor !== '0');
  await redis.del(...found);
}

serve<LeasesLoad>({
  async connect({ redisUrl }) {
    link = await connectRedis(redisUrl, createLog('warn'));
    redis = new Redis(redisUrl);
  },

  async fill(keys) {
    let missing = keys - (await redis.dbsize());
    for (; missing > 0; missing -= AT_A_TIME) {
      const pairs = Array.from({ length: Math.min(missing, AT_A_TIME) }, () => [
        `chat:history:${randomUUID()}:50:0`,
        'a page',
      ]);
      await redis.mset(...pairs.flat());
    }
  },

  async invalidate({ as, times }) {
    const cache = createRedisCache(link);
    const latencies: number[] = [];
    const moved: string[] = [];
    for (let i = 0; i < times; i += 1) {
      const userId = randomUUID();
      if (as === 'scan') {
        const pages = Array.from({ length: PAGES }, (_, n) => [
          `chat:history:${userId}:50:${n}`,
          'a page',
        ]);
        await redis.mset(...pages.flat());
      }
      // What is not asked takes no time.
      while (!link.up) await sleep(20);
      const began = performance.now();
      if (as === 'scan') await scan(userId);
      else await cache.advance(userId, BigInt(i + 1));
      if (!link.up) continue;
      latencies.push(performance.now() - began);
      if (as === 'chatkeep') moved.push(`chat:top:{${userId}}`);
    }
    if (moved.length > 0 && (await redis.exists(...moved)) < moved.length) {
      throw new Error('Some leases have not moved.');
    }
    latencies.sort((a, b) => a - b);
    return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
  },
});
