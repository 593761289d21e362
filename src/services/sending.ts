import { v7 as uuidv7 } from 'uuid';
import type { Claims } from '../db/database.ts';
import type { MessageRow, MessageStore, SentBody, Stored } from '../db/messages.ts';
import { conflict, ExpectedError, notFound } from '../errors.ts';
import type { SendLimiter } from '../limits.ts';
import type { Announce } from './changes.ts';
import { checkId, checkJsonObject, checkText } from './input.ts';
import { moodOf } from './mood.ts';
import type { Replies } from './replying.ts';

export interface SendRequest {
  readonly id?: string | null | undefined;
  readonly message: string;
  /** Left out: the user's personality; null: none. */
  readonly personalityContext?: unknown;
  readonly awaitReply?: boolean | null | undefined;
}

interface Parts {
  readonly messages: MessageStore;
  readonly replies: Replies;
  readonly limiter: SendLimiter;
  readonly announce: Announce;
  /** Is told when a new message came, once it is safe and others know of it. */
  readonly countSend: (start: number) => void;
}

const MAX_MESSAGE = 32_000;

/** What changes a history. Whatever is answered here is stored. */
export function createSending({ messages, replies, limiter, announce, countSend }: Parts) {
  async function takeTurn(viewer: Claims): Promise<void> {
    const taken = await limiter.take(viewer.sub);
    if (taken.ok) return;
    const { retryAfterMs } = taken;
    throw new ExpectedError('RATE_LIMITED', 'That was too many messages; wait a moment.', {
      retryAfterMs,
    });
  }

  async function store(
    viewer: Claims,
    body: SentBody,
    { isChosen, awaitReply }: { isChosen: boolean; awaitReply: boolean },
  ): Promise<MessageRow> {
    const start = performance.now();
    // Before the limiter: a retry is no new message and must not be refused.
    const claimed = isChosen ? await messages.claimed(viewer, body) : undefined;
    if (claimed) return answerAgain(viewer, first(claimed), awaitReply);
    await takeTurn(viewer);

    const token = replies.newToken();
    const { mood, score: moodScore } = moodOf(body.message);
    const fresh = { ...body, mood, moodScore, token, leaseMs: replies.leaseMs };
    const stored = await messages.insert(viewer, fresh);
    if (stored.kind !== 'created') {
      // Sent twice at once, the id was free to both of them.
      await limiter.giveBack(viewer.sub);
      return answerAgain(viewer, first(stored), awaitReply);
    }
    await announce(viewer.sub, stored.row.seq);
    countSend(start);
    replies.start(viewer, stored.row, token);
    return awaitReply ? replies.ended(viewer, stored.row.id) : stored.row;
  }

  /** What was stored before: the process that stored it may have died before it told anybody. */
  async function answerAgain(viewer: Claims, row: MessageRow, awaitReply: boolean) {
    if (awaitReply) return replies.ended(viewer, row.id);
    await announce(viewer.sub, row.seq);
    return row;
  }

  return {
    /**
     * Stores a message and has it answered. With an id that the client chose, sending it again gives
     * the first result and stores nothing.
     */
    async send(viewer: Claims, request: SendRequest): Promise<MessageRow> {
      const message = checkText('input.message', request.message, MAX_MESSAGE);
      const given = request.personalityContext;
      const personalityContext =
        given === undefined ? undefined : checkJsonObject('input.personalityContext', given);
      const chosen = request.id ?? undefined;
      const id = chosen === undefined ? uuidv7() : checkId('input.id', chosen);
      const awaitReply = request.awaitReply ?? true;
      const sent = { id, message, personalityContext };
      return store(viewer, sent, { isChosen: chosen !== undefined, awaitReply }).catch(
        (error: unknown) => {
          throw withId(error, id);
        },
      );
    },

    /** Keeps what has come so far of a running reply. */
    async stop(viewer: Claims, givenId: string): Promise<MessageRow> {
      const id = checkId('id', givenId);
      const row = await messages.find(viewer, id);
      if (!row) throw notFound();
      if (row.status === 'STOPPED') return answerAgain(viewer, row, false);
      if (row.status === 'COMPLETE' || row.status === 'FAILED') {
        throw conflict('This reply has ended already.');
      }
      await replies.requestStop(viewer, id);
      return replies.ended(viewer, id);
    },

    /** Has a reply that FAILED or was STOPPED written anew, and waits for it. */
    async retry(viewer: Claims, givenId: string): Promise<MessageRow> {
      const id = checkId('id', givenId);
      const refusal = () => conflict('Only a reply that failed or was stopped can be retried.');
      const row = await messages.find(viewer, id);
      if (!row) throw notFound();
      if (row.status !== 'FAILED' && row.status !== 'STOPPED') throw refusal();
      await takeTurn(viewer);
      if (!(await replies.restart(viewer, id))) throw refusal();
      return replies.ended(viewer, id);
    },

    /** Deletes an exchange for good; a reply that is being written stops. */
    async delete(viewer: Claims, givenId: string): Promise<string> {
      const id = checkId('id', givenId);
      const deleted = await messages.delete(viewer, id);
      if (!deleted) throw notFound();
      // Also of an earlier deletion: the process that did it may have died before it told anybody.
      await announce(viewer.sub, deleted.seq);
      replies.letGo(viewer, id);
      if (!deleted.isNew) throw notFound();
      return id;
    },
  };
}

export type Sending = ReturnType<typeof createSending>;

/** It is stored, or may be: under this id it can be sent again without being doubled. */
function withId(error: unknown, id: string): unknown {
  if (!(error instanceof ExpectedError) || error.code !== 'SERVICE_UNAVAILABLE') return error;
  return new ExpectedError(error.code, error.message, { id }, { cause: error.cause });
}

/** The message under an id, if it is the one that was sent. */
function first(stored: Stored): MessageRow {
  if (stored.kind === 'deleted') throw conflict('The message with this id was deleted.');
  if (stored.kind === 'different') throw conflict('Another message was sent with this id.');
  return stored.row;
}
