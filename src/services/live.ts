import pLimit from 'p-limit';
import type { PageCache } from '../cache/cache.ts';
import type { Change, Changes, MessageRow, MessageStore } from '../db/messages.ts';
import { badInput, ExpectedError, unavailable } from '../errors.ts';
import type { Events, Hint } from '../events/events.ts';
import type { Logger } from '../log.ts';
import { type ChatEvent, createFeed, type Feed } from './feed.ts';
import { Queue, type Sink } from './queue.ts';
import type { Viewer } from './tokens.ts';

export type { ChatEvent };

/** A feed while somebody listens, and what is under way for it. */
interface OpenFeed {
  readonly feed: Feed;
  readonly stopListening: () => void;
  /** A read is under way; `again` says that there may be more than it sees. */
  reading: boolean;
  again: boolean;
  /** Texts of running replies are to be read too. */
  recover: boolean;
  /** The next read looks for what nobody told, and so the cache may not know of either. */
  looking: boolean;
  /** When the last piece that was missing was asked for, as `performance.now()`. */
  askedAt: number;
}

/** So many events wait for a subscriber that does not read, then its subscription ends. */
const QUEUE_LIMIT = 256;
/** So many changes are read, and sent, at a time. */
const PIECE = 100;
/** Reads at a time: feeds that all have to look at once leave lanes to everybody else. */
const READERS = 4;
const RETRY_MS = 1_000;
/** A read that takes so long to fail is not waited for by the next in line, one after the other. */
const SLOW_TO_FAIL_MS = 1_000;
const ASK_AGAIN_MS = 500;
/** A socket closes itself when its token runs out, and says why; what is left are streams over HTTP. */
const AFTER_EXPIRY_MS = 500;

interface Parts {
  readonly messages: MessageStore;
  readonly events: Events;
  readonly cache: PageCache;
  readonly log: Logger;
  /** How often feeds in which a reply is being written look by themselves, in ms. */
  readonly lookMs: number;
}

/**
 * Pushes what happens to a user's history to the user's devices. A hint says only that there is
 * something to read: what is delivered comes from PostgreSQL, as that user, by rising number, so that
 * lost, doubled and reordered hints change nothing.
 */
export function createLive({ messages, events, cache, log, lookMs }: Parts) {
  const feeds = new Map<string, Promise<OpenFeed>>();
  const takeTurn = pLimit(READERS);
  /** When PostgreSQL was last seen not to answer, as `performance.now()`. */
  let silentAt = Number.NEGATIVE_INFINITY;
  let subscribers = 0;
  /** PostgreSQL is away: said once, not by each feed. */
  let failing = false;

  /**
   * Reads in turn. Whoever was in line when PostgreSQL did not answer is told so: to let each wait for
   * that anew would keep the last one waiting for minutes.
   */
  function read<T>(work: () => Promise<T>): Promise<T> {
    const askedAt = performance.now();
    return takeTurn(async () => {
      if (silentAt > askedAt) throw unavailable(undefined);
      const begunAt = performance.now();
      try {
        return await work();
      } catch (error) {
        if (performance.now() - begunAt > SLOW_TO_FAIL_MS) silentAt = performance.now();
        throw error;
      }
    });
  }

  function lookAll(wanted: (feed: Feed) => boolean): void {
    for (const opening of feeds.values()) {
      opening.then(
        (open) => {
          if (!wanted(open.feed)) return;
          open.recover ||= open.feed.hasRunning;
          open.looking = true;
          catchUp(open);
        },
        () => {},
      );
    }
  }
  const stopWatchingGaps = events.onGap(() => lookAll(() => true));
  // A process may be killed between the end of a reply and telling it.
  const looking = setInterval(() => lookAll(({ hasRunning }) => hasRunning), lookMs);

  async function openFeed(viewer: Viewer): Promise<OpenFeed> {
    let open: OpenFeed | undefined;
    // Listening first: what happens before the number is read is then in it, what comes later is heard.
    const stopListening = await events.listen(viewer.sub, (hint) => {
      if (open) hear(open, hint);
    });
    try {
      const { seq, texts } = await read(() => messages.running(viewer));
      const onMissing = (messageId: string) => {
        if (open) askFor(open, messageId);
      };
      const feed = createFeed({ viewer, seq, texts, onMissing });
      open = {
        feed,
        stopListening,
        reading: false,
        again: false,
        recover: false,
        looking: false,
        askedAt: 0,
      };
      // What is stored of them is up to a second old.
      for (const { id } of texts) ask(viewer, id);
      return open;
    } catch (error) {
      stopListening();
      throw error;
    }
  }

  function hear(open: OpenFeed, hint: Hint): void {
    if (hint.kind === 'changed' && BigInt(hint.seq) > open.feed.last) catchUp(open);
    if (hint.kind === 'text') open.feed.hear(hint);
  }

  const ask = (viewer: Viewer, messageId: string) =>
    events.publish(viewer.sub, { kind: 'ask', messageId });

  function askFor(open: OpenFeed, messageId: string): void {
    const now = performance.now();
    if (now - open.askedAt < ASK_AGAIN_MS) return;
    open.askedAt = now;
    open.recover = true;
    ask(open.feed.viewer, messageId);
    catchUp(open);
  }

  function catchUp(open: OpenFeed): void {
    open.again = true;
    if (open.reading) return;
    open.reading = true;
    readOn(open).then(
      () => {
        open.reading = false;
        failing = false;
        // Heard of something between the last look and here.
        if (open.again && open.feed.subscribers.size > 0) catchUp(open);
      },
      (error: unknown) => {
        open.reading = false;
        open.looking = true;
        if (!failing) {
          log.warn({ code: (error as ExpectedError).code }, 'feeds cannot be read: trying on');
        }
        failing = true;
        setTimeout(() => {
          if (open.feed.subscribers.size > 0) catchUp(open);
        }, RETRY_MS);
      },
    );
  }

  async function readOn(open: OpenFeed): Promise<void> {
    const { feed } = open;
    while (open.again && feed.subscribers.size > 0) {
      open.again = false;
      const { looking } = open;
      open.looking = false;
      const { from } = feed;
      const found = await read(() => messages.changes(feed.viewer, from, PIECE));
      if (found.seq < feed.last) return startOver(feed);
      // A device that has heard of a change must not read a page from before it.
      if (looking && found.seq > feed.last) await cache.advance(feed.viewer.sub, found.seq);
      feed.apply(from, found, PIECE);
      open.again ||= found.changes.length === PIECE;
      if (!open.recover) continue;
      open.recover = false;
      const { texts } = await read(() => messages.running(feed.viewer));
      feed.recover(texts);
    }
  }

  /** The numbers went back: the account was deleted, or the database is an older copy. */
  function startOver(feed: Feed): void {
    const error = new ExpectedError(
      'SERVICE_UNAVAILABLE',
      'The history began anew. Subscribe again.',
    );
    for (const { sink } of [...feed.subscribers]) sink.end(error);
  }

  /** Lets a subscriber into its user's feed, in one step with finding it: else it could close between. */
  async function enter(viewer: Viewer, join: (open: OpenFeed) => void): Promise<void> {
    for (;;) {
      let opening = feeds.get(viewer.sub);
      if (!opening) {
        opening = openFeed(viewer);
        feeds.set(viewer.sub, opening);
        opening.catch(() => feeds.delete(viewer.sub));
      }
      const open = await opening;
      if (feeds.get(viewer.sub) !== opening) continue;
      join(open);
      closeIfEmpty(open);
      return;
    }
  }

  function closeIfEmpty({ feed, stopListening }: OpenFeed): void {
    if (feed.subscribers.size > 0) return;
    feeds.delete(feed.viewer.sub);
    stopListening();
  }

  /** A queue that joins the feed of its user with `join` and leaves it when it ends. */
  function createSubscription<T>(viewer: Viewer) {
    let leave = () => {};
    const queue = new Queue<T>({
      limit: QUEUE_LIMIT,
      until: new Date(viewer.expiresAt.getTime() + AFTER_EXPIRY_MS),
      tooSlow: () =>
        new ExpectedError('SERVICE_UNAVAILABLE', 'You read too slowly. Subscribe again.'),
      onEnd: () => leave(),
    });
    async function join(sink: Sink<ChatEvent>, position?: bigint): Promise<void> {
      await enter(viewer, (open) => {
        const { feed } = open;
        // The device left while this waited.
        if (queue.ended) return;
        const subscriber = feed.join(sink, position);
        subscribers += 1;
        leave = () => {
          subscribers -= 1;
          feed.subscribers.delete(subscriber);
          closeIfEmpty(open);
        };
        // It could not even take the first events.
        if (queue.ended) leave();
        // A hint may have come after the number was read and before anybody was there to hear it.
        else catchUp(open);
      }).catch((error: unknown) => {
        queue.end(error as Error);
        throw error;
      });
    }
    return { queue, join };
  }

  /** Goes through what the subscriber missed, piece by piece, at the speed at which it reads. */
  async function replay(queue: Queue<ChatEvent>, viewer: Viewer, first: Changes): Promise<bigint> {
    let found = first;
    for (;;) {
      for (const change of found.changes) {
        queue.push(eventOf(change));
        await queue.room();
      }
      const lastOne = found.changes.at(-1);
      if (!lastOne || found.changes.length < PIECE || queue.ended) return found.seq;
      found = await read(() => messages.changes(viewer, lastOne.seq, PIECE));
    }
  }

  return {
    /** Every message of the viewer, from any device and process, once its reply has ended. */
    async messageAdded(viewer: Viewer): Promise<Queue<MessageRow>> {
      const { queue, join } = createSubscription<MessageRow>(viewer);
      await join({
        push(event) {
          if (event.kind === 'changed' && event.replyEnded) queue.push(event.message);
        },
        end: (error) => queue.end(error),
        room: () => queue.room(),
      });
      return queue;
    },

    /**
     * All that happens to the viewer's history after a number, or from now on. What was missed comes
     * first, each message once in its latest state, then `caughtUp`, then what happens as it happens.
     * Ends when the viewer's token runs out.
     *
     * @throws BAD_USER_INPUT for a number that was not reached yet
     */
    async chatEvents(viewer: Viewer, after: bigint | undefined): Promise<Queue<ChatEvent>> {
      const missed =
        after === undefined ? undefined : await read(() => messages.changes(viewer, after, PIECE));
      if (missed && after && after > missed.seq) {
        throw badInput('after', 'This cursor is not one of ours.');
      }
      const { queue, join } = createSubscription<ChatEvent>(viewer);
      if (missed) {
        replay(queue, viewer, missed)
          .then((position) => join(queue, position))
          .catch((error: unknown) => queue.end(error as Error));
      } else {
        await join(queue);
      }
      return queue;
    },

    get subscribers(): number {
      return subscribers;
    },

    close(): void {
      stopWatchingGaps();
      clearInterval(looking);
    },
  };
}

export type Live = ReturnType<typeof createLive>;

const eventOf = ({ seq, id, row }: Change): ChatEvent =>
  row ? { kind: 'changed', seq, message: row, replyEnded: false } : { kind: 'deleted', seq, id };
