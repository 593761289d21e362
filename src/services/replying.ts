import { randomUUID } from 'node:crypto';
import type { Claims } from '../db/database.ts';
import type { MessageRow, MessageStore } from '../db/messages.ts';
import type { ReplyOutcome, ReplyStore, RunningReply } from '../db/replies.ts';
import { ExpectedError, notFound, unavailable } from '../errors.ts';
import type { Events } from '../events/events.ts';
import type { Logger } from '../log.ts';
import { ReplyFailed, type ReplyWriter } from '../replies/replies.ts';
import { atMost } from '../timers.ts';
import type { Announce } from './changes.ts';
import { createReplyText } from './reply-text.ts';

/** All in ms. */
export interface ReplyTiming {
  /** How long a reply may be without a heartbeat before another process gives it up. */
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  /** How often abandoned replies are looked for. */
  readonly sweepMs: number;
  /** How often the text so far is stored. */
  readonly progressMs: number;
  /** How often at most what is new of the text goes out to the user's devices. */
  readonly deltaMs: number;
  /** How often a waiting request looks by itself, should an event be lost. */
  readonly pollMs: number;
  /** How often devices on which a reply is being written look by themselves, should its end not be told. */
  readonly lookMs: number;
  /** How long a reply may take in all, however the model writes. */
  readonly wholeMs: number;
}

/** Each reply has ended within a minute: a dead process' after at most `leaseMs + sweepMs`. */
export const REPLY_TIMING: ReplyTiming = {
  leaseMs: 30_000,
  heartbeatMs: 5_000,
  sweepMs: 10_000,
  progressMs: 1_000,
  deltaMs: 33,
  pollMs: 2_000,
  lookMs: 10_000,
  wholeMs: 55_000,
};

interface Parts {
  readonly messages: MessageStore;
  readonly store: ReplyStore;
  readonly writer: ReplyWriter;
  readonly events: Events;
  readonly announce: Announce;
  readonly log: Logger;
  readonly timing: ReplyTiming;
}

/** Why a generation was cut short. */
type Interruption = 'stopped' | 'shutdown' | 'lost' | 'late';

interface Generation {
  readonly viewer: Claims;
  readonly messageId: string;
  readonly token: string;
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

// Turns that go along with a message are chosen from so many newest ones.
const MAX_TURNS = 50;
/** For the end of a reply that was cut by the process' own. */
const LAST_WRITE_MS = 1_000;

type ReplyText = ReturnType<typeof createReplyText>;

export const isRunning = (row: MessageRow) =>
  row.status === 'PENDING' || row.status === 'STREAMING';

/**
 * The replies this process writes. Each runs under a lease in PostgreSQL, kept by a heartbeat: who
 * loses it can change nothing more, and a reply whose lease ran out is ended as FAILED by any process.
 */
export function createReplies(parts: Parts) {
  const { messages, store, writer, events, announce, log, timing } = parts;
  const running = new Map<string, Generation>();
  let closing = false;

  const interrupt = (generation: Generation | undefined, reason: Interruption) =>
    generation?.controller.abort(reason);

  const heartbeat = setInterval(() => {
    beat().catch((error: unknown) => log.warn({ code: codeOf(error) }, 'heartbeat failed'));
  }, timing.heartbeatMs);
  const sweeper = setInterval(() => {
    sweep().catch((error: unknown) => log.warn({ code: codeOf(error) }, 'sweep failed'));
  }, timing.sweepMs);

  async function beat(): Promise<void> {
    if (running.size === 0) return;
    const beating = [...running.values()];
    const tokens = beating.map(({ token }) => token);
    const kept = new Map(
      (await store.beat(tokens, timing.leaseMs)).map((row) => [row.token, row.stopRequested]),
    );
    for (const generation of beating) {
      const stopRequested = kept.get(generation.token);
      if (stopRequested === undefined) interrupt(generation, 'lost');
      if (stopRequested) interrupt(generation, 'stopped');
    }
  }

  let sweeping = false;
  async function sweep(): Promise<void> {
    // One at a time: where a lock is held, they would wait for each other too.
    if (sweeping) return;
    sweeping = true;
    try {
      for (const reply of await store.abandoned(100)) {
        // One that cannot be ended must not keep the others waiting.
        await giveUp(reply).catch((error: unknown) =>
          log.warn({ code: codeOf(error) }, 'an abandoned reply could not be ended'),
        );
      }
    } finally {
      sweeping = false;
    }
  }

  async function giveUp(reply: RunningReply): Promise<void> {
    const row = await store.abandon({ sub: reply.userId }, reply, {
      status: 'FAILED',
      failure: 'The server that wrote this reply went away. Try again.',
    });
    if (row) await announce(row.userId, row.seq);
  }

  async function generate(
    viewer: Claims,
    row: MessageRow,
    { token, text, signal }: { token: string; text: ReplyText; signal: AbortSignal },
  ): Promise<void> {
    let storing = false;
    let stored = '';
    const progress = setInterval(async () => {
      // One at a time, so that a text never replaces a longer one.
      if (storing || text.soFar === stored) return;
      storing = true;
      stored = text.soFar;
      try {
        await store.progress(viewer, row.id, token, stored);
      } catch (error) {
        log.warn({ code: codeOf(error) }, 'progress of a reply was not stored');
      } finally {
        storing = false;
      }
    }, timing.progressMs);
    let outcome: Omit<ReplyOutcome, 'response'>;
    try {
      outcome = await write(viewer, row, text.add, signal);
    } catch (error) {
      outcome = explain(error, signal);
    } finally {
      clearInterval(progress);
    }
    if (signal.reason === 'lost') return text.drop();
    const ended = { ...outcome, response: text.end() };
    let tries = 0;
    // The text is kept meanwhile, or until the lease is lost.
    const finished = await untilBack(
      async () => {
        tries += 1;
        const stored = await store.finish(viewer, row.id, token, ended);
        // Without a lease it may be this one's own end: stored, and the connection lost before the answer.
        return stored ?? (tries > 1 ? await messages.find(viewer, row.id) : undefined);
      },
      () => closing,
    );
    if (finished) await announce(viewer.sub, finished.seq);
  }

  async function write(
    viewer: Claims,
    row: MessageRow,
    add: (piece: string) => void,
    signal: AbortSignal,
  ): Promise<Omit<ReplyOutcome, 'response'>> {
    const turns = await untilBack(
      () => messages.turnsBefore(viewer, row, MAX_TURNS),
      () => signal.aborted,
    );
    signal.throwIfAborted();
    const { message, personalityContext } = row;
    const pieces = writer.write({ message, personalityContext, turns: turns.reverse() }, signal);
    for (;;) {
      const next = await pieces.next();
      if (next.done) {
        const cut = next.value === 'length' && 'The reply reached the longest the model can write.';
        return { status: 'COMPLETE', failure: cut || null };
      }
      add(next.value);
    }
  }

  function explain(error: unknown, signal: AbortSignal): Omit<ReplyOutcome, 'response'> {
    if (signal.reason === 'stopped') return { status: 'STOPPED', failure: null };
    if (signal.reason === 'shutdown') {
      return { status: 'FAILED', failure: 'The server was restarted. Try again.' };
    }
    if (signal.reason === 'late') {
      return { status: 'FAILED', failure: 'The model took too long over this reply. Try again.' };
    }
    if (error instanceof ReplyFailed) return { status: 'FAILED', failure: error.message };
    log.error({ err: codeOf(error) }, 'a reply failed');
    return { status: 'FAILED', failure: 'The reply could not be written. Try again.' };
  }

  /** PostgreSQL may be away for a while just now: goes on until it is back, or `isOver`. */
  async function untilBack<T>(work: () => Promise<T>, isOver: () => boolean): Promise<T> {
    for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 2_000)) {
      try {
        return await work();
      } catch (error) {
        const retryable = error instanceof ExpectedError && error.code === 'SERVICE_UNAVAILABLE';
        if (!retryable || isOver()) throw error;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }

  function newToken(): string {
    if (closing) throw unavailable(new Error('This process stops.'));
    return randomUUID();
  }

  /** Starts writing a reply. It goes on whether or not somebody waits for it. */
  function start(viewer: Claims, row: MessageRow, token: string): void {
    const controller = new AbortController();
    const { signal } = controller;
    const late = setTimeout(() => controller.abort('late'), timing.wholeMs);
    const messageId = row.id;
    const tell = (offset: number, piece: string) =>
      events.publish(viewer.sub, {
        kind: 'text',
        messageId,
        run: String(row.seq),
        offset,
        text: piece,
      });
    const text = createReplyText({ onNew: tell, everyMs: timing.deltaMs });
    const stopListening = events.listen(viewer.sub, (hint) => {
      if (!('messageId' in hint) || hint.messageId !== messageId) return;
      if (hint.kind === 'stop') controller.abort('stopped');
      if (hint.kind === 'ask' && text.soFar) tell(0, text.soFar);
    });
    const done = generate(viewer, row, { token, text, signal })
      .catch((error: unknown) => log.error({ err: codeOf(error) }, 'a reply could not be ended'))
      .finally(async () => {
        clearTimeout(late);
        running.delete(token);
        (await stopListening)();
      });
    running.set(token, { viewer, messageId, token, controller, done });
    if (closing) controller.abort('shutdown');
  }

  return {
    /**
     * A fresh token for the lease of a reply, to be stored with the message.
     * @throws SERVICE_UNAVAILABLE when this process has no time left to write one
     */
    newToken,
    leaseMs: timing.leaseMs,

    start,

    /** Has a reply that FAILED or was STOPPED written anew; undefined in any other state. */
    async restart(viewer: Claims, id: string): Promise<MessageRow | undefined> {
      const token = newToken();
      const row = await store.restart(viewer, id, token, timing.leaseMs);
      if (!row) return undefined;
      await announce(viewer.sub, row.seq);
      start(viewer, row, token);
      return row;
    },

    /**
     * The message once its reply has ended, wherever it is being written, and once that was announced:
     * who ended it may not have come to that yet, or have died.
     */
    async ended(viewer: Claims, id: string): Promise<MessageRow> {
      let wake: () => void = () => {};
      const stopListening = await events.listen(viewer.sub, (hint) => {
        if (hint.kind === 'changed') wake();
      });
      try {
        for (;;) {
          const woken = new Promise<void>((resolve) => {
            wake = resolve;
          });
          const row = await messages.find(viewer, id);
          if (!row) throw notFound();
          if (!isRunning(row)) {
            // Whatever was heard: who lost Redis tells of its changes once it is back, and raises no lease then.
            await announce(viewer.sub, row.seq);
            return row;
          }
          await atMost(timing.pollMs, woken);
        }
      } finally {
        stopListening();
      }
    },

    /** Asks whichever process writes this reply to stop; should the event be lost, its heartbeat sees it. */
    async requestStop(viewer: Claims, id: string): Promise<void> {
      await store.requestStop(viewer, id);
      events.publish(viewer.sub, { kind: 'stop', messageId: id });
    },

    /** Lets go of the reply to a message that was deleted, and its lease with it. */
    letGo(viewer: Claims, id: string): void {
      events.publish(viewer.sub, { kind: 'stop', messageId: id });
    },

    get running(): number {
      return running.size;
    },

    /** Lets running replies finish for `ms`, then ends them as FAILED with the text so far. */
    async close(ms: number): Promise<void> {
      clearInterval(sweeper);
      const all = () => Promise.allSettled([...running.values()].map(({ done }) => done));
      // New ones begin meanwhile: there are connections yet over which messages come.
      for (const until = Date.now() + ms; running.size > 0 && Date.now() < until; ) {
        await atMost(until - Date.now(), all());
      }
      closing = true;
      for (const generation of running.values()) interrupt(generation, 'shutdown');
      // What PostgreSQL does not take by then is for the sweeper of another process.
      await atMost(LAST_WRITE_MS, all());
      clearInterval(heartbeat);
    },
  };
}

export type Replies = ReturnType<typeof createReplies>;

/** What of an error may stand in a log: PostgreSQL's details can hold a message's text. */
function codeOf(error: unknown): string {
  const { name, code } = error as { name?: string; code?: string };
  return code ?? name ?? 'unknown';
}
