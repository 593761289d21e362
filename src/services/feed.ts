import type { Changes, MessageRow, RunningText } from '../db/messages.ts';
import type { TextHint } from '../events/events.ts';
import type { Sink } from './queue.ts';
import { isRunning } from './replying.ts';
import type { Viewer } from './tokens.ts';

/** What happens to a history, as a device gets to know it. */
export type ChatEvent =
  | {
      readonly kind: 'changed';
      readonly seq: bigint;
      readonly message: MessageRow;
      /** Whether its reply has ended since the feed looked last. */
      readonly replyEnded: boolean;
    }
  | { readonly kind: 'deleted'; readonly seq: bigint; readonly id: string }
  | {
      readonly kind: 'delta';
      readonly messageId: string;
      readonly offset: number;
      readonly text: string;
    }
  | { readonly kind: 'caughtUp'; readonly seq: bigint };

export interface Subscriber {
  readonly sink: Sink<ChatEvent>;
  /** All changes up to here have been pushed. */
  position: bigint;
  /** Whether it has caught up with the feed, and gets what comes as it comes. */
  live: boolean;
}

/** A reply that is being written, as far as this process knows it. */
interface Running {
  /** The number with which it began: a reply that is written anew is another run. */
  readonly run: bigint;
  text: string;
  /** Whether its message has been read, and so told. Its text can be heard before. */
  readonly known: boolean;
}

interface Options {
  readonly viewer: Viewer;
  /** The user's number, and the replies that were being written, when the feed began. */
  readonly seq: bigint;
  readonly texts: readonly RunningText[];
  /** A piece of a reply is missing. */
  readonly onMissing: (messageId: string) => void;
}

/**
 * One user's subscribers in this process, and what they have been told. It reads nothing itself: what
 * was read is applied once for all of them.
 *
 * Of every known running reply each live subscriber has been pushed exactly its `text`.
 */
export function createFeed({ viewer, seq, texts, onMissing }: Options) {
  const subscribers = new Set<Subscriber>();
  const running = new Map<string, Running>();
  let last = seq;
  /** Whether `last` is where a read ended, and not the middle of one. */
  let settled = true;

  for (const { id, seq: run, response } of texts) {
    // One that began later is a change that is still to be read.
    if (run <= last) running.set(id, { run, text: response, known: true });
  }

  function pushToLive(event: ChatEvent): void {
    for (const { sink, live } of subscribers) if (live) sink.push(event);
  }

  function goLive(subscriber: Subscriber): void {
    subscriber.live = true;
    subscriber.position = last;
    subscriber.sink.push({ kind: 'caughtUp', seq: last });
    for (const [messageId, { known, text }] of running) {
      if (known && text) subscriber.sink.push({ kind: 'delta', messageId, offset: 0, text });
    }
  }

  function grow(messageId: string, reply: Running, offset: number, text: string): void {
    const end = reply.text.length;
    if (offset > end) {
      onMissing(messageId);
      return;
    }
    const piece = text.slice(end - offset);
    if (!piece) return;
    reply.text += piece;
    if (reply.known) pushToLive({ kind: 'delta', messageId, offset: end, text: piece });
  }

  /** Remembers which replies are being written; a text may have come before its message. */
  function track(id: string, row: MessageRow | null): void {
    if (!row || !isRunning(row)) {
      running.delete(id);
      return;
    }
    const early = running.get(id);
    const text = early?.run === row.seq ? early.text : '';
    running.set(id, {
      run: row.seq,
      text: text.length > row.response.length ? text : row.response,
      known: true,
    });
  }

  return {
    viewer,
    subscribers,
    /** All changes up to here have been read. */
    get last(): bigint {
      return last;
    },
    /** After which number the next read has to begin: a subscriber may be behind the feed. */
    get from(): bigint {
      let from = last;
      for (const { position, live } of subscribers) if (!live && position < from) from = position;
      return from;
    },
    /** Whether replies are being written whose text can be behind. */
    get hasRunning(): boolean {
      return running.size > 0;
    },

    /** Without a position: only what comes from now on. Whoever is behind goes live with the next read. */
    join(sink: Sink<ChatEvent>, position?: bigint): Subscriber {
      const subscriber: Subscriber = { sink, position: position ?? last, live: false };
      subscribers.add(subscriber);
      if (position === undefined || (settled && position === last)) goLive(subscriber);
      return subscriber;
    },

    /** Applies all that was read after `from`, up to `limit` changes. */
    apply(from: bigint, { seq: current, changes }: Changes, limit: number): void {
      const before = last;
      // Who joined during the read, from further back, waits for the next one.
      const present = [...subscribers].filter(({ position }) => position >= from);
      for (const { seq, id, row } of changes) {
        const event: ChatEvent = row
          ? { kind: 'changed', seq, message: row, replyEnded: (row.replySeq ?? 0n) > before }
          : { kind: 'deleted', seq, id };
        for (const subscriber of present) {
          if (seq <= subscriber.position) continue;
          subscriber.position = seq;
          subscriber.sink.push(event);
        }
        if (seq <= last) continue;
        last = seq;
        track(id, row);
        const text = running.get(id)?.text;
        if (text) pushToLive({ kind: 'delta', messageId: id, offset: 0, text });
      }
      settled = changes.length < limit;
      if (!settled) return;
      if (current > last) last = current;
      for (const subscriber of present) {
        if (subscriber.live) subscriber.position = last;
        // One that has read further than the feed waits for it.
        else if (subscriber.position <= last) goLive(subscriber);
      }
    },

    /** A piece of a reply that is being written somewhere. */
    hear({ messageId, run: runText, offset, text }: TextHint): void {
      const run = BigInt(runText);
      let reply = running.get(messageId);
      if (run > last && (reply === undefined || reply.run < run)) {
        // Before its message: kept until that is read.
        reply = { run, text: '', known: false };
        running.set(messageId, reply);
      }
      // Not of this run: late, from a process that was frozen.
      if (reply?.run === run) grow(messageId, reply, offset, text);
    },

    /** Texts as stored, where pieces may have been lost. */
    recover(stored: readonly RunningText[]): void {
      for (const { id, seq: run, response } of stored) {
        const reply = running.get(id);
        if (reply?.run === run) grow(id, reply, 0, response);
      }
    },
  };
}

export type Feed = ReturnType<typeof createFeed>;
