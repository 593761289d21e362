import type { MessageRow, MessageStore } from '../db/messages.ts';
import { ExpectedError } from '../errors.ts';
import type { Events } from '../events/events.ts';
import type { Logger } from '../log.ts';
import { createQueue, type Queue } from './queue.ts';
import type { Viewer } from './tokens.ts';

interface Subscriber {
  readonly queue: Queue<MessageRow>;
  /** Only what comes after this number is news to the subscriber. */
  readonly from: bigint;
}

/** One user's subscribers in this process: what is new is read once for all of them. */
interface Feed {
  readonly viewer: Viewer;
  readonly subscribers: Set<Subscriber>;
  readonly stopListening: () => void;
  /** All up to here has been read. */
  last: bigint;
  /** A read is under way; `again` says that there may be more than it sees. */
  reading: boolean;
  again: boolean;
}

/** So many messages wait for a subscriber that does not read, then its subscription ends. */
const QUEUE_LIMIT = 256;
const READ_LIMIT = 100;
const RETRY_MS = 1_000;
/** A socket closes itself when its token runs out, and says why; what is left are streams over HTTP. */
const AFTER_EXPIRY_MS = 500;

interface Parts {
  readonly messages: MessageStore;
  readonly events: Events;
  readonly log: Logger;
}

/**
 * Pushes messages to subscribers once their reply has ended. An event is only a hint that there is
 * something to read: what is delivered comes from PostgreSQL, as that user, by rising number, so that
 * lost, doubled and reordered hints change nothing.
 */
export function createLive({ messages, events, log }: Parts) {
  const feeds = new Map<string, Promise<Feed>>();
  let subscribers = 0;

  const stopWatchingGaps = events.onGap(() => {
    for (const opening of feeds.values()) opening.then(catchUp, () => {});
  });

  async function openFeed(viewer: Viewer): Promise<Feed> {
    let feed: Feed | undefined;
    // Listening first: what happens before `last` is read is then in it, and what comes later is heard.
    const stopListening = await events.listen(viewer.sub, (hint) => {
      if (feed && hint.kind === 'changed' && BigInt(hint.seq) > feed.last) catchUp(feed);
    });
    try {
      const last = await messages.seq(viewer);
      feed = {
        viewer,
        subscribers: new Set(),
        stopListening,
        last,
        reading: false,
        again: false,
      };
      return feed;
    } catch (error) {
      stopListening();
      throw error;
    }
  }

  function catchUp(feed: Feed): void {
    feed.again = true;
    if (feed.reading) return;
    feed.reading = true;
    readOn(feed).then(
      () => {
        feed.reading = false;
        // Heard of something between the last look and here.
        if (feed.again && feed.subscribers.size > 0) catchUp(feed);
      },
      (error: unknown) => {
        feed.reading = false;
        log.warn({ code: (error as ExpectedError).code }, 'a feed could not be read');
        setTimeout(() => {
          if (feed.subscribers.size > 0) catchUp(feed);
        }, RETRY_MS);
      },
    );
  }

  async function readOn(feed: Feed): Promise<void> {
    while (feed.again && feed.subscribers.size > 0) {
      feed.again = false;
      const rows = await messages.endedSince(feed.viewer, feed.last, READ_LIMIT);
      for (const row of rows) {
        const seq = row.replySeq ?? feed.last;
        for (const subscriber of feed.subscribers) {
          if (seq > subscriber.from) subscriber.queue.push(row);
        }
        feed.last = seq;
      }
      feed.again ||= rows.length === READ_LIMIT;
    }
  }

  async function feedOf(viewer: Viewer): Promise<{ feed: Feed; opening: Promise<Feed> }> {
    for (;;) {
      let opening = feeds.get(viewer.sub);
      if (!opening) {
        opening = openFeed(viewer);
        feeds.set(viewer.sub, opening);
        opening.catch(() => feeds.delete(viewer.sub));
      }
      const feed = await opening;
      // Its last subscriber may have left, and the feed with it, while this one waited.
      if (feeds.get(viewer.sub) === opening) return { feed, opening };
    }
  }

  return {
    /**
     * Every message of the viewer, from any device and process, once its reply has ended. Ends when
     * the viewer's token runs out.
     */
    async messageAdded(viewer: Viewer): Promise<AsyncIterableIterator<MessageRow>> {
      const { feed, opening } = await feedOf(viewer);
      const queue = createQueue<MessageRow>({
        limit: QUEUE_LIMIT,
        until: new Date(viewer.expiresAt.getTime() + AFTER_EXPIRY_MS),
        tooSlow: () =>
          new ExpectedError('SERVICE_UNAVAILABLE', 'You read too slowly. Subscribe again.'),
        onEnd() {
          subscribers -= 1;
          feed.subscribers.delete(subscriber);
          if (feed.subscribers.size > 0) return;
          if (feeds.get(viewer.sub) === opening) feeds.delete(viewer.sub);
          feed.stopListening();
        },
      });
      const subscriber: Subscriber = { queue, from: feed.last };
      feed.subscribers.add(subscriber);
      subscribers += 1;
      // A hint may have come after `last` was read and before anybody was there to hear it.
      catchUp(feed);
      return queue;
    },

    get subscribers(): number {
      return subscribers;
    },

    close(): void {
      stopWatchingGaps();
    },
  };
}

export type Live = ReturnType<typeof createLive>;
