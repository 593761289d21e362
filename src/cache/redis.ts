import { LRUCache } from 'lru-cache';
import type { RedisClient, RedisLink } from '../redis.ts';
import type { CachedPage, Lookup, PageCache, PageKey } from './cache.ts';

interface Options {
  readonly leaseMs?: number;
}

// A number is a string of digits here: Lua's own lose whole ones beyond 2^53.
const NEWER = `
local function newer(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end
`;

const NOW = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`;

const PRELUDE = `${NEWER}${NOW}`;

// Without a lease a page may still be good, unless a writer came with a newer number than it has.
const LOOK = `
local lease = redis.call('GET', KEYS[1])
local page = redis.call('HMGET', KEYS[2], 'seq', 'body')
if lease and lease == page[1] then return {lease, page[2]} end
${PRELUDE}
local known = lease or redis.call('GET', KEYS[3])
if not lease and page[1] and not (known and newer(known, page[1])) then known = false end
return {known or '', page[1] and 1 or 0, string.format('%.0f', now)}`;

// What a reader read from PostgreSQL: sets a lease that is missing, raises one that is there, and
// prolongs none. A lease lives from the look that came before the reading, and not from when it is set:
// what it says was right after that look, so that no page outlives a change by more than a lease, whatever
// becomes of the change's writer. Too late, a reader says nothing, to be far from where a lease ends.
const LEARN = `${PRELUDE}
local seq, seenAt, leaseMs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if now < seenAt or now - seenAt > leaseMs / 2 then return false end
local lease = redis.call('GET', KEYS[1])
if not lease then
  local top = redis.call('GET', KEYS[3])
  lease = top and newer(top, seq) and top or seq
  redis.call('SET', KEYS[1], lease, 'PX', leaseMs - (now - seenAt))
elseif newer(seq, lease) then
  redis.call('SET', KEYS[1], seq, 'KEEPTTL')
  lease = seq
end
`;

const RENEW = `${LEARN}
if redis.call('HGET', KEYS[2], 'seq') ~= lease then return false end
return {lease, redis.call('HGET', KEYS[2], 'body')}`;

const FILL = `${LEARN}
if lease ~= seq then return 0 end
redis.call('HSET', KEYS[2], 'seq', seq, 'body', ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1`;

// A writer raises a lease that is there, and neither sets nor prolongs one: it may have stood still for
// any time since its commit, and know less than others by now. A reader that looked before this and read
// before the commit finds the number here.
const ADVANCE = `${NEWER}
local seq, lease, top = ARGV[1], redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
if lease and newer(seq, lease) then redis.call('SET', KEYS[1], seq, 'KEEPTTL') end
if top and newer(top, seq) then seq = top end
redis.call('SET', KEYS[2], seq, 'EX', ARGV[2])
return 1`;

/** Longer than any reader waits; and so long, nobody tries to renew what was changed. */
const TOP_S = 3_600;

/** Bytes of pages that a process keeps of what it has seen in Redis. */
const NEAR_BYTES = 32 * 1024 * 1024;
/** What a user deleted is not to stay in memory for long because nobody asks for the page again. */
const NEAR_MS = 60_000;

type Script = (...args: (string | number | Buffer)[]) => Promise<unknown>;
type Scripts = Record<'chatLookBuffer' | 'chatRenewBuffer' | 'chatFill' | 'chatAdvance', Script>;
type Scripted = RedisClient & Scripts;
type Hit = Extract<Lookup, { kind: 'hit' }>;

/**
 * The cache that processes share; every operation is one script on one slot. Of a page that this process has
 * had before, only the lease is asked for: a page of the same key and number is the same bytes.
 */
export function createRedisCache(link: RedisLink, { leaseMs = 5_000 }: Options = {}): PageCache {
  const prepared = new WeakSet<RedisClient>();
  const near = new LRUCache<string, Hit>({
    maxSize: NEAR_BYTES,
    sizeCalculation: ({ body }, name) => body.length + 2 * name.length + 200,
    ttl: NEAR_MS,
    ttlResolution: 1_000,
  });

  /** Copied: what Redis sent is a part of all that came with it. */
  function keepNear(name: string, { seq, body }: CachedPage): Hit {
    const hit: Hit = { kind: 'hit', seq, body: Buffer.from(body) };
    near.set(name, hit);
    return hit;
  }

  function scripts(client: RedisClient): Scripted {
    if (!prepared.has(client)) {
      client.defineCommand('chatLook', { numberOfKeys: 3, lua: LOOK });
      client.defineCommand('chatRenew', { numberOfKeys: 3, lua: RENEW });
      client.defineCommand('chatFill', { numberOfKeys: 3, lua: FILL });
      client.defineCommand('chatAdvance', { numberOfKeys: 2, lua: ADVANCE });
      prepared.add(client);
    }
    return client as Scripted;
  }

  /** Undefined when Redis is away, or was, too short ago to trust a lease. */
  async function ask<T>(command: (client: Scripted) => Promise<unknown>): Promise<T | undefined> {
    if (!link.trustedFor(leaseMs)) return undefined;
    return link.run((client) => command(scripts(client)) as Promise<T>).catch(() => undefined);
  }

  /** Users whose leases are asked for in this turn of the event loop: in one question. */
  let asking: { names: string[]; leases: Promise<(string | null)[] | undefined> } | undefined;

  function askLater() {
    const names: string[] = [];
    const leases = new Promise<(string | null)[] | undefined>((resolve) => {
      setImmediate(() => {
        asking = undefined;
        resolve(ask((client) => client.mget(names)));
      });
    });
    return { names, leases };
  }

  /** Null where there is none, undefined when Redis is away. */
  async function leaseOf(name: string): Promise<string | null | undefined> {
    // One question goes to one node.
    if (link.isCluster) return ask((client) => client.get(name));
    asking ??= askLater();
    const { names, leases } = asking;
    const at = names.push(name) - 1;
    return (await leases)?.[at];
  }

  return {
    async look(key) {
      const keys = keysOf(key);
      const [leaseName, name] = keys;
      const known = near.get(name);
      if (known) {
        const lease = await leaseOf(leaseName);
        if (lease === undefined) return { kind: 'away' };
        if (lease === String(known.seq)) return known;
      }
      const found = await ask<[Buffer, Buffer] | [Buffer, number, Buffer]>((client) =>
        client.chatLookBuffer(...keys),
      );
      if (found === undefined) return { kind: 'away' };
      const [lease] = found;
      const seq = BigInt(lease.toString());
      if (found.length === 2) return keepNear(name, { seq, body: found[1] });
      const [, stored, clock] = found;
      const seenAt = Number(clock);
      if (lease.length === 0) return { kind: 'unleased', stored: stored === 1, seenAt };
      return { kind: 'miss', stale: stored === 1, seq, seenAt };
    },
    async renew(key, seq, seenAt) {
      const page = await ask<[Buffer, Buffer] | null>((client) =>
        client.chatRenewBuffer(...keysOf(key), String(seq), seenAt, leaseMs),
      );
      return page ? { seq: BigInt(page[0].toString()), body: page[1] } : undefined;
    },
    async fill(key, page, seenAt, ttlSeconds) {
      const keys = keysOf(key);
      const { seq, body } = page;
      const stored = await ask<number | null>((client) =>
        client.chatFill(...keys, String(seq), seenAt, leaseMs, body, ttlSeconds),
      );
      if (stored !== 1) return false;
      keepNear(keys[1], page);
      return true;
    },
    async advance(userId, seq) {
      // Also while leases are not trusted yet: others do trust them. One that cannot be moved makes
      // this process trust none until it must have run out, whatever the reason: a Redis without memory
      // takes no writes and still answers reads.
      const keys = [leaseKey(userId), topKey(userId)] as const;
      await link
        .run((client) => scripts(client).chatAdvance(...keys, String(seq), TOP_S))
        .catch(() => link.distrust());
    },
  };
}

const leaseKey = (userId: string) => `chat:seq:{${userId}}`;

const topKey = (userId: string) => `chat:top:{${userId}}`;

const keysOf = ({ prefix, userId, suffix }: PageKey) =>
  [leaseKey(userId), `${prefix}:{${userId}}:${suffix}`, topKey(userId)] as const;
