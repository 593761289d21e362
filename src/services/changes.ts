import type { PageCache } from '../cache/cache.ts';
import type { Events } from '../events/events.ts';

/** Tells the world that a user's history has reached `seq`. Never throws. */
export type Announce = (userId: string, seq: bigint) => Promise<void>;

/**
 * After a change's commit and before its acknowledgement: first the lease moves, so that no page from
 * before the change is served any more, then the event goes out, so that a device that heard of the
 * change never reads a page from before it.
 *
 * @param countMove is told when the lease began to move, once it has
 */
export function createAnnouncer(
  cache: PageCache,
  events: Events,
  countMove: (start: number) => void,
): Announce {
  return async (userId, seq) => {
    const start = performance.now();
    await cache.advance(userId, seq);
    countMove(start);
    events.publish(userId, { kind: 'changed', seq: String(seq) });
  };
}
