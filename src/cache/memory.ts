import { LRUCache } from 'lru-cache';
import type { CachedPage, PageCache, PageKey } from './cache.ts';

interface Options {
  readonly leaseMs?: number;
  /** Bodies kept in all; the least recently used go first. Default 64 MiB. */
  readonly maxBytes?: number;
}

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

  function leaseOf(userId: string): bigint | undefined {
    const lease = leases.get(userId);
    return lease && lease.endsAt > now() ? lease.seq : undefined;
  }

  /** What a reader knows: sets a lease that is missing, raises one that is there, prolongs none. */
  function learn(userId: string, seq: bigint, seenAt: number): bigint | undefined {
    if (now() - seenAt > leaseMs / 2) return undefined;
    const lease = leases.get(userId);
    const live = lease && lease.endsAt > now() ? lease : undefined;
    const current = live && live.seq > seq ? live.seq : seq;
    leases.set(userId, { seq: current, endsAt: live?.endsAt ?? now() + leaseMs });
    return current;
  }

  return {
    async look(key) {
      const page = pages.get(textOf(key));
      const seq = leaseOf(key.userId);
      if (seq === undefined) return { kind: 'unleased', stored: page !== undefined, seenAt: now() };
      if (page?.seq === seq) return { kind: 'hit', ...page };
      return { kind: 'miss', stale: page !== undefined, seq, seenAt: now() };
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
      // Also a lease that ran out: a writer that comes late must not go back behind it.
      const known = leases.get(userId)?.seq ?? seq;
      const current = known > seq ? known : seq;
      leases.set(userId, { seq: current, endsAt: now() + leaseMs });
    },
  };
}

const textOf = ({ prefix, userId, suffix }: PageKey) => `${prefix}:{${userId}}:${suffix}`;
