/** Which page: the documented part of its Redis key, without the user. */
export interface PageKey {
  readonly userId: string;
  /** What stands around the user id, e.g. `chat:history` and `50:0:9f2c…`: `chat:history:{user}:50:0:9f2c…`. */
  readonly prefix: 'chat:history' | 'chat:search';
  readonly suffix: string;
}

/** A finished response, encoded as it goes out, and the user's `seq` as read in the same statement as its rows. */
export interface CachedPage {
  readonly seq: bigint;
  readonly body: Buffer;
}

/**
 * What a look into the cache found.
 *
 * - `hit`: the stored page's `seq` is the one under the lease; it may be served.
 * - `unleased`: nobody knows the current `seq`. `stored` tells whether a page is there. Renew the
 *   lease with the `seq` from PostgreSQL, which also says whether that page is good again.
 * - `miss`: no page, or one from before a change (`stale`). What shows `seq` shows every change that was
 *   acknowledged before the look.
 * - `away`: the cache does not answer; read PostgreSQL and store nothing.
 *
 * `seenAt` is the cache's own clock, in ms, to be handed back to `renew` and `fill`.
 */
export type Lookup =
  | ({ readonly kind: 'hit' } & CachedPage)
  | { readonly kind: 'unleased'; readonly stored: boolean; readonly seenAt: number }
  | {
      readonly kind: 'miss';
      readonly stale: boolean;
      readonly seq: bigint;
      readonly seenAt: number;
    }
  | { readonly kind: 'away' };

/**
 * Finished pages that cannot be stale (docs/decisions: pages under a lease). A page describes itself
 * by its `seq`; one small key per user, `chat:seq:{user}`, says which `seq` is current, for
 * `leaseMs` from the look of the reader that set it. Nothing is ever deleted to invalidate.
 */
export interface PageCache {
  /** One round trip. A hit does not prolong the lease. */
  look(key: PageKey): Promise<Lookup>;
  /**
   * A reader that found no lease sets it to the `seq` it then read from PostgreSQL, or to a newer one
   * that a writer came with, until `leaseMs` after `seenAt`; it raises a lease that is there. Refused when
   * more than half a lease has passed since `seenAt`. Answers the stored page if it is good under the
   * resulting lease.
   */
  renew(key: PageKey, seq: bigint, seenAt: number): Promise<CachedPage | undefined>;
  /**
   * Stores a page for `ttlSeconds` if its `seq` is the current one; sets the lease as `renew` does.
   * Refused when more than half a lease has passed since `seenAt`. True if stored.
   */
  fill(key: PageKey, page: CachedPage, seenAt: number, ttlSeconds: number): Promise<boolean>;
  /**
   * Called by a write, after its commit and before its acknowledgement: raises the lease if there is one,
   * and tells readers that are about to set one. Never throws; a process that could not move a lease
   * finds the cache `away` until that lease must have run out.
   */
  advance(userId: string, seq: bigint): Promise<void>;
}
