import { LRUCache } from 'lru-cache';
import type { CachedPage, PageCache, PageKey } from './cache.ts';

interface Options {
  readonly leaseMs?: number;
  /** Bodies kept in all; the least recently used go first. Default 64 MiB. */
  readonly maxBytes?: number;
}

/** Once it has ended, the newest number that is known all the same. */
interface Lease {
  readonly seq: bigint;
  readonly endsAt: number;
}

const LEASES = 100_000;

/** The cache of a server that is one process; the same rules as in Redis. */
export function createMemoryCache(options: Options = {}): PageCache {
  const { leaseMs = 5_000, maxBytes = 64 * 1024 * 1024 } = options;
  const pages = new LRUCache<string, CachedPage>({
    maxSize: maxBytes,
    sizeCalculation: ({ body }) => body.length + 200,
  });
  const leases = new LRUCache<string, Lease>({ max: LEASES });
  const now = () => performance.now();

  /** What a reader knows: sets a lease that is missing, raises one that is there, prolongs none. */
  function learn(userId: string, seq: bigint, seenAt: number): bigint | undefined {
    if (now() - seenAt > leaseMs / 2) return undefined;
    const lease = leases.get(userId);
    const isLive = lease !== undefined && lease.endsAt > now();
    const current = lease && lease.seq > seq ? lease.seq : seq;
    leases.set(userId, { seq: current, endsAt: isLive ? lease.endsAt : seenAt + leaseMs });
    return current;
  }

  return {
    async look(key) {
      const page = pages.get(textOf(key));
      const lease = leases.get(key.userId);
      const isLive = lease !== undefined && lease.endsAt > now();
      if (isLive && page?.seq === lease.seq) return { kind: 'hit', ...page };
      // Without a lease a page may still be good, unless a writer came with a newer number than it has.
      if (!lease || (!isLive && page && page.seq >= lease.seq)) {
        return { kind: 'unleased', stored: page !== undefined, seenAt: now() };
      }
      return { kind: 'miss', stale: page !== undefined, seq: lease.seq, seenAt: now() };
    },
    async renew(key, seq, seenAt) {
      const current = learn(key.userId, seq, seenAt);
      const page = pages.get(textOf(key));
      return page && page.seq === current ? page : undefined;
    },
    async fill(key, page, seenAt, ttlSeconds) {
      if (learn(key.userId, page.seq, seenAt) !== page.seq || page.body.length > maxBytes / 2) {
        return false;
      }
      pages.set(textOf(key), page, { ttl: ttlSeconds * 1000 });
      return true;
    },
    async advance(userId, seq) {
      const { seq: known, endsAt } = leases.get(userId) ?? { seq, endsAt: now() };
      leases.set(userId, { seq: known > seq ? known : seq, endsAt });
    },
  };
}

const textOf = ({ prefix, userId, suffix }: PageKey) => `${prefix}:{${userId}}:${suffix}`;
