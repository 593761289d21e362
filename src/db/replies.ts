import { and, desc, eq, inArray, lt, sql } from 'drizzle-orm';
import type { Claims, Database } from './database.ts';
import { chatHistory, chatReplyLeases, type MessageRow } from './schema.ts';
import { build, columns, inMs, leaseOf, once, one, openHistory, readerOf } from './statements.ts';

export interface ReplyOutcome {
  readonly status: 'COMPLETE' | 'STOPPED' | 'FAILED';
  readonly response: string;
  readonly failure: string | null;
}

export interface RunningReply {
  readonly userId: string;
  readonly messageId: string;
  readonly token: string;
}

/** The statements over replies that are being written, and over their leases. */
export function createReplyStore(database: Database) {
  return {
    /** Notes the text so far; false when the generation has lost its lease. */
    async progress(claims: Claims, id: string, token: string, response: string): Promise<boolean> {
      const [isKept] = await database.asUser(claims, () => [
        noteProgress({ userId: claims.sub, id, token, response }, (rows) => rows.length > 0),
      ]);
      return isKept;
    },

    /** Ends a reply; undefined when the generation has lost its lease (ended or deleted elsewhere). */
    async finish(
      claims: Claims,
      id: string,
      token: string,
      outcome: ReplyOutcome,
    ): Promise<MessageRow | undefined> {
      const values = { userId: claims.sub, id, token };
      const [, row] = await database.asUser(claims, () => [
        openHistory,
        endReply({ ...values, ...outcome }, ([found]) => found && readRow(found)),
        deleteLease(values, () => undefined),
      ]);
      return row;
    },

    /**
     * Ends a reply whose lease ran out, keeping the text so far. Undefined when it is not abandoned
     * (any more).
     */
    async abandon(
      claims: Claims,
      reply: RunningReply,
      outcome: Omit<ReplyOutcome, 'response'>,
    ): Promise<MessageRow | undefined> {
      const expired = lt(chatReplyLeases.expiresAt, sql`clock_timestamp()`);
      const lease = and(leaseOf(claims.sub, reply.messageId, reply.token), expired);
      const [, , rows] = await database.asUser(claims, (db) => [
        openHistory,
        // Held until the commit: renewed between the two others, it would outlive the reply's end, and who
        // writes the reply could end it once more.
        db
          .select({ token: chatReplyLeases.token })
          .from(chatReplyLeases)
          .where(lease)
          .for('update'),
        db
          .update(chatHistory)
          .set(outcome)
          .from(chatReplyLeases)
          .where(and(one(claims.sub, reply.messageId), lease))
          .returning(columns),
        db.delete(chatReplyLeases).where(lease),
      ]);
      return rows[0];
    },

    /** Starts over for a reply that FAILED or was STOPPED; undefined in any other state. */
    async restart(
      claims: Claims,
      id: string,
      token: string,
      leaseMs: number,
    ): Promise<MessageRow | undefined> {
      const [, restarted, rows] = await database.asUser(claims, (db) => [
        openHistory,
        db.execute(sql`
          with restarted as (
            update ${chatHistory} set status = 'PENDING', response = '', failure = null
            where ${one(claims.sub, id)} and status in ('FAILED', 'STOPPED')
            returning user_id, id
          )
          insert into ${chatReplyLeases} (user_id, message_id, token, expires_at)
          select user_id, id, ${token}::uuid, ${inMs(leaseMs)} from restarted
          returning message_id`),
        db.select().from(chatHistory).where(one(claims.sub, id)),
      ]);
      return restarted.length > 0 ? rows[0] : undefined;
    },

    /** Asks whoever writes this reply to stop; they see it with their next heartbeat. */
    async requestStop(claims: Claims, id: string): Promise<void> {
      await database.asUser(claims, (db) => [
        db
          .update(chatReplyLeases)
          .set({ stopRequested: true })
          .where(and(eq(chatReplyLeases.userId, claims.sub), eq(chatReplyLeases.messageId, id))),
      ]);
    },

    /**
     * Keeps replies alive for another `leaseMs`. Answers those that still are this process', and
     * which of them somebody asked to stop.
     */
    async beat(tokens: readonly string[], leaseMs: number) {
      const [rows] = await database.asWorker((db) => [
        db
          .update(chatReplyLeases)
          .set({ expiresAt: inMs(leaseMs) as unknown as string })
          .where(inArray(chatReplyLeases.token, [...tokens]))
          .returning({
            token: chatReplyLeases.token,
            stopRequested: chatReplyLeases.stopRequested,
          }),
      ]);
      return rows;
    },

    /** Replies that nobody writes any more, of all users. */
    async abandoned(limit: number): Promise<readonly RunningReply[]> {
      const [rows] = await database.asWorker((db) => [
        db
          .select({
            userId: chatReplyLeases.userId,
            messageId: chatReplyLeases.messageId,
            token: chatReplyLeases.token,
          })
          .from(chatReplyLeases)
          .where(lt(chatReplyLeases.expiresAt, sql`clock_timestamp()`))
          // The latest first: any that cannot be ended gather behind them.
          .orderBy(desc(chatReplyLeases.expiresAt))
          .limit(limit),
      ]);
      return rows;
    },
  };
}

export type ReplyStore = ReturnType<typeof createReplyStore>;

const value = (name: string) => sql.placeholder(name);
const isIt = one(value('userId'), value('id'));
const isLease = leaseOf(value('userId'), value('id'), value('token'));

interface Lease {
  readonly userId: string;
  readonly id: string;
  readonly token: string;
}

const noteProgress = once<Lease & { response: string }>(
  build
    .update(chatHistory)
    .set({ response: sql`${value('response')}`, status: 'STREAMING' })
    .from(chatReplyLeases)
    .where(
      and(
        isIt,
        // Waiting for finish() to commit, this statement looks again at the message, but not at
        // the lease that finish() has deleted (READ COMMITTED, EvalPlanQual).
        inArray(chatHistory.status, ['PENDING', 'STREAMING']),
        isLease,
      ),
    )
    .returning({ id: chatHistory.id }),
);

const readRow = readerOf(columns);
const endReply = once<Lease & ReplyOutcome>(
  build
    .update(chatHistory)
    .set({
      status: sql`${value('status')}`,
      response: sql`${value('response')}`,
      failure: sql`${value('failure')}`,
    })
    .from(chatReplyLeases)
    .where(and(isIt, isLease))
    .returning(columns),
);

const deleteLease = once<Lease>(build.delete(chatReplyLeases).where(isLease));
