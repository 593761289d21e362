import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PageCache, PageKey } from '../src/cache/cache.ts';
import { createMemoryCache } from '../src/cache/memory.ts';
import { createRedisCache } from '../src/cache/redis.ts';
import { createLog } from '../src/log.ts';
import { connectRedis, type RedisLink } from '../src/redis.ts';
import { type RedisServer, redisAvailable, startRedis } from './kit/redis.ts';

const LEASE_MS = 300;
const DAY_S = 86_400;

let redis: RedisServer | undefined;
let link: RedisLink | undefined;

beforeAll(async () => {
  if (!redisAvailable) return;
  redis = await startRedis();
  link = await connectRedis(redis.url, createLog('silent'));
});
afterAll(async () => {
  await link?.close();
  await redis?.stop();
});

const forms = [
  {
    form: 'in the process',
    available: true,
    create: () => createMemoryCache({ leaseMs: LEASE_MS }),
  },
  {
    form: 'in Redis',
    available: redisAvailable,
    create: () => createRedisCache(link as RedisLink, { leaseMs: LEASE_MS }),
  },
];

const page = (seq: bigint, text = `page at ${seq}`) => ({ seq, body: Buffer.from(text) });

describe.each(forms)('a page cache $form', ({ available, create }) => {
  let cache: PageCache;
  let key: PageKey;
  beforeEach(() => {
    cache = create();
    key = { userId: randomUUID(), prefix: 'chat:history', suffix: `50:0:${randomUUID()}` };
  });

  /** Looks, and answers the clock of that look. */
  async function seenAt(): Promise<number> {
    const found = await cache.look(key);
    if (!('seenAt' in found)) throw new Error(`unexpected ${found.kind}`);
    return found.seenAt;
  }

  const leaseGone = () =>
    expect.poll(async () => (await cache.look(key)).kind, { interval: 20 }).toBe('unleased');

  it.runIf(available)('knows nothing of a user at first, then serves what was filled', async () => {
    const first = await cache.look(key);
    expect(first).toMatchObject({ kind: 'unleased', stored: false });
    expect(await cache.fill(key, page(7n), await seenAt(), DAY_S)).toBe(true);
    expect(await cache.look(key)).toEqual({ kind: 'hit', body: page(7n).body });
  });

  it.runIf(available)('keeps bytes as they are', async () => {
    const body = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await cache.fill(key, { seq: 1n, body }, await seenAt(), DAY_S);
    expect(await cache.look(key)).toEqual({ kind: 'hit', body });
  });

  it.runIf(available)('serves no page from before a change', async () => {
    await cache.fill(key, page(7n), await seenAt(), DAY_S);
    await cache.advance(key.userId, 8n);
    expect(await cache.look(key)).toMatchObject({ kind: 'miss', stale: true, seq: 8n });
    const other = { ...key, suffix: 'other' };
    expect(await cache.look(other)).toMatchObject({ kind: 'miss', stale: false, seq: 8n });
  });

  it.runIf(available)(
    'refuses a page that was read before a change, and filled after it',
    async () => {
      const seen = await seenAt();
      await cache.advance(key.userId, 8n);
      expect(await cache.fill(key, page(7n), seen, DAY_S)).toBe(false);
      expect(await cache.look(key)).toMatchObject({ kind: 'miss', seq: 8n });
    },
  );

  it.runIf(available)('refuses a page that comes more than half a lease late', async () => {
    const seen = await seenAt();
    await sleep(LEASE_MS * 0.6);
    expect(await cache.fill(key, page(7n), seen, DAY_S)).toBe(false);
    expect(await cache.renew(key, 7n, seen)).toBeUndefined();
    expect(await cache.look(key)).toMatchObject({ kind: 'unleased' });
  });

  it.runIf(available)('never lowers a lease', async () => {
    await cache.advance(key.userId, 9n);
    await cache.advance(key.userId, 8n);
    expect(await cache.look(key)).toMatchObject({ kind: 'miss', seq: 9n });
    expect(await cache.renew(key, 3n, Date.now() * 2)).toBeUndefined();
    expect(await cache.look(key)).toMatchObject({ kind: 'miss', seq: 9n });
  });

  it.runIf(available)('has its pages again once a lease that ran out is renewed', async () => {
    await cache.fill(key, page(7n), await seenAt(), DAY_S);
    await leaseGone();
    const found = await cache.look(key);
    expect(found).toMatchObject({ kind: 'unleased', stored: true });
    expect(await cache.renew(key, 7n, await seenAt())).toEqual(page(7n).body);
    expect(await cache.look(key)).toMatchObject({ kind: 'hit' });
    await leaseGone();
    expect(await cache.renew(key, 8n, await seenAt())).toBeUndefined();
    expect(await cache.look(key)).toMatchObject({ kind: 'miss', stale: true, seq: 8n });
  });

  it.runIf(available)(
    'does not let hits prolong a lease, so that a lost change heals',
    async () => {
      await cache.fill(key, page(7n), await seenAt(), DAY_S);
      while ((await cache.look(key)).kind === 'hit') {
        await sleep(5);
      }
      expect(await cache.look(key)).toMatchObject({ kind: 'unleased' });
    },
  );

  it.runIf(available)('tells numbers beyond 2^53 apart', async () => {
    const large = 2n ** 53n;
    await cache.fill(key, page(large), await seenAt(), DAY_S);
    await cache.advance(key.userId, large + 1n);
    expect(await cache.look(key)).toMatchObject({ kind: 'miss', seq: large + 1n });
    await cache.advance(key.userId, 99n);
    expect(await cache.look(key)).toMatchObject({ kind: 'miss', seq: large + 1n });
  });

  it.runIf(available)('keeps users apart', async () => {
    const other = { ...key, userId: randomUUID() };
    await cache.fill(key, page(7n), await seenAt(), DAY_S);
    expect(await cache.look(other)).toMatchObject({ kind: 'unleased', stored: false });
    await cache.advance(other.userId, 8n);
    expect(await cache.look(key)).toMatchObject({ kind: 'hit' });
  });

  it.runIf(available)(
    'is never stale after an acknowledgement, however readers and writers meet',
    async () => {
      // The truth, as PostgreSQL would have it; `acknowledged` is what writers were told is stored.
      let truth = 0n;
      let acknowledged = 0n;
      let writing = true;
      const hesitate = () => sleep(Math.random() * (Math.random() < 0.1 ? LEASE_MS : 4));
      const outcomes = { hit: 0, filled: 0, stale: 0 };

      const writer = async () => {
        for (let i = 0; i < 120; i += 1) {
          truth += 1n;
          const seq = truth;
          await hesitate();
          await cache.advance(key.userId, seq);
          if (seq > acknowledged) acknowledged = seq;
          await sleep(Math.random() * 8);
        }
        writing = false;
      };
      const reader = async () => {
        while (writing) {
          const floor = acknowledged;
          const found = await cache.look(key);
          let shown: bigint;
          if (found.kind === 'hit') {
            outcomes.hit += 1;
            shown = BigInt(found.body.toString());
          } else {
            shown = truth;
            await hesitate();
            if (found.kind !== 'away') {
              const filled = await cache.fill(key, page(shown, `${shown}`), found.seenAt, DAY_S);
              if (filled) outcomes.filled += 1;
            }
          }
          if (shown < floor) outcomes.stale += 1;
          await sleep(1);
        }
      };
      await Promise.all([writer(), ...Array.from({ length: 8 }, reader)]);
      expect(outcomes.stale).toBe(0);
      expect(outcomes.hit).toBeGreaterThan(20);
      expect(outcomes.filled).toBeGreaterThan(20);
    },
  );
});

describe('the cache in the process', () => {
  it('keeps within its bytes', async () => {
    const cache = createMemoryCache({ maxBytes: 10_000 });
    const userId = randomUUID();
    const keys = Array.from(
      { length: 20 },
      (_, i): PageKey => ({ userId, prefix: 'chat:history', suffix: `${i}` }),
    );
    for (const key of keys) {
      const found = await cache.look(key);
      const body = Buffer.alloc(1_000);
      if ('seenAt' in found) await cache.fill(key, { seq: 1n, body }, found.seenAt, DAY_S);
    }
    const kinds = await Promise.all(keys.map(async (key) => (await cache.look(key)).kind));
    expect(kinds.filter((kind) => kind === 'hit').length).toBeLessThan(10);
    expect(kinds.at(-1)).toBe('hit');
  });
});
