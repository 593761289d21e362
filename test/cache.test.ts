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
  {
    form: 'in Redis, looked into by another process',
    available: redisAvailable,
    create: () => {
      const [one, other] = [1, 2].map(() =>
        createRedisCache(link as RedisLink, { leaseMs: LEASE_MS }),
      ) as [PageCache, PageCache];
      return { ...one, look: other.look };
    },
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
    expect(await cache.look(key)).toEqual({ kind: 'hit', ...page(7n) });
  });

  it.runIf(available)('keeps bytes as they are', async () => {
    const body = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await cache.fill(key, { seq: 1n, body }, await seenAt(), DAY_S);
    expect(await cache.look(key)).toEqual({ kind: 'hit', seq: 1n, body });
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
    // Nor one that a reader raised, who saw a change whose writer was not heard.
    const found = await cache.look(key);
    if ('seenAt' in found) await cache.renew(key, 12n, found.seenAt);
    await cache.advance(key.userId, 11n);
    expect(await cache.look(key)).toMatchObject({ kind: 'miss', seq: 12n });
  });

  it.runIf(available)('goes behind no change with a writer that comes late', async () => {
    await cache.fill(key, page(5n), await seenAt(), DAY_S);
    await cache.advance(key.userId, 6n);
    await sleep(LEASE_MS * 1.1);
    await cache.advance(key.userId, 5n);
    expect(await cache.look(key)).toMatchObject({ kind: 'miss', stale: true, seq: 6n });
  });

  it.runIf(available)('takes no writer that comes late at its word alone', async () => {
    await cache.fill(key, page(5n), await seenAt(), DAY_S);
    await leaseGone();
    // It stood still while another's change, the sixth, was lost to the cache.
    await cache.advance(key.userId, 5n);
    expect(await cache.look(key)).toMatchObject({ kind: 'unleased', stored: true });
    expect(await cache.renew(key, 6n, await seenAt())).toBeUndefined();
  });

  it.runIf(available)('counts a lease from the look before the reading', async () => {
    let end = 0;
    for (let isFilled = false; !isFilled; ) {
      const seen = await seenAt();
      end = performance.now() + LEASE_MS;
      await sleep(LEASE_MS * 0.4);
      // Refused on a machine that was too slow: then once more.
      isFilled = await cache.fill(key, page(7n), seen, DAY_S);
    }
    let lastHit = 0;
    for (;;) {
      const askedAt = performance.now();
      if ((await cache.look(key)).kind !== 'hit') break;
      lastHit = askedAt;
      await sleep(1);
    }
    expect(lastHit).toBeGreaterThan(0);
    // Two clocks, one of which counts whole milliseconds.
    expect(lastHit).toBeLessThan(end + 2);
  });

  it.runIf(available)('has its pages again once a lease that ran out is renewed', async () => {
    await cache.fill(key, page(7n), await seenAt(), DAY_S);
    await leaseGone();
    const found = await cache.look(key);
    expect(found).toMatchObject({ kind: 'unleased', stored: true });
    expect(await cache.renew(key, 7n, await seenAt())).toEqual(page(7n));
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
    const large = 2n ** 63n - 2n;
    await cache.fill(key, page(large), await seenAt(), DAY_S);
    await cache.advance(key.userId, large + 1n);
    expect(await cache.look(key)).toMatchObject({ kind: 'miss', seq: large + 1n });
    for (const smaller of [large, 99n]) await cache.advance(key.userId, smaller);
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
      // Whoever stands still for longer than a lease comes when everybody has forgotten.
      const stall = () => (Math.random() < 0.04 ? sleep(LEASE_MS * 1.5) : hesitate());
      const outcomes = { hit: 0, filled: 0, renewed: 0, stale: 0 };
      const newer = (a: bigint, b: bigint) => (a > b ? a : b);

      const write = async () => {
        truth += 1n;
        const seq = truth;
        await stall();
        await cache.advance(key.userId, seq);
        acknowledged = newer(acknowledged, seq);
      };
      const writer = async () => {
        for (let i = 0; i < 60; i += 1) {
          await write();
          await sleep(Math.random() * 8);
        }
      };
      const readerOf = (pageKey: PageKey) => async () => {
        while (writing) {
          const floor = acknowledged;
          const found = await cache.look(pageKey);
          let shown = truth;
          if (found.kind === 'hit') {
            outcomes.hit += 1;
            shown = BigInt(found.body.toString());
          } else if (found.kind !== 'away') {
            await hesitate();
            const good =
              found.kind === 'unleased' && found.stored
                ? await cache.renew(pageKey, shown, found.seenAt)
                : undefined;
            if (good) {
              outcomes.renewed += 1;
              shown = BigInt(good.body.toString());
            } else if (await cache.fill(pageKey, page(shown, `${shown}`), found.seenAt, DAY_S)) {
              outcomes.filled += 1;
            }
          }
          if (shown < floor) outcomes.stale += 1;
          await sleep(1);
        }
      };
      const keys = [key, key, key, { ...key, suffix: 'another page' }];
      const readers = [...keys, ...keys].map((pageKey) => readerOf(pageKey)());
      await Promise.all([writer(), writer(), writer()]);
      // Nobody writes any more: leases run out, and readers renew them.
      await expect.poll(() => outcomes.renewed).toBeGreaterThan(0);
      writing = false;
      await Promise.all(readers);
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
