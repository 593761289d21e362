import { and, eq, gt, sql } from 'drizzle-orm';
import { unionAll } from 'drizzle-orm/pg-core';
import type { Claims, Database, QueryBuilder } from './database.ts';
import {
  type Around,
  type AroundQuery,
  aroundStatement,
  type Page,
  type PageQuery,
  pageStatement,
} from './pages.ts';
import {
  chatCounters,
  chatDeletions,
  chatHistory,
  chatPersonalities,
  chatReplyLeases,
  type MessageRow,
} from './schema.ts';
import { type SearchFound, type SearchQuery, searchStatement } from './search.ts';
import {
  columns,
  type Exchange,
  inMs,
  olderThan,
  one,
  openHistory,
  type Position,
  tombstone,
} from './statements.ts';
import { type MoodPoint, type TrendQuery, trendStatement } from './trend.ts';

export type { Exchange, MessageRow, MoodPoint, Page, Position, TrendQuery };

export interface NewMessage {
  readonly id: string;
  readonly message: string;
  /** Undefined: the user's personality, whatever it is then; null: none. */
  readonly personalityContext: object | null | undefined;
  readonly mood: MessageRow['mood'];
  readonly moodScore: number;
  /** The generation that will write the reply, and how long it may be silent. */
  readonly token: string;
  readonly leaseMs: number;
}

/** One change of a history. A message that changed often stands once, in its latest state. */
export interface Change {
  readonly seq: bigint;
  readonly id: string;
  /** Without: the message was deleted. */
  readonly row: MessageRow | null;
}

export interface Changes {
  /** The user's newest change, as read in the same statement. */
  readonly seq: bigint;
  /** By rising number. */
  readonly changes: readonly Change[];
}

/** A reply that is being written, and its text as stored last. */
export interface RunningText {
  readonly id: string;
  /** The number with which it began. */
  readonly seq: bigint;
  readonly response: string;
}

/** What became of a message under a client's id. */
export type Stored =
  | { readonly kind: 'created' | 'existing' | 'different'; readonly row: MessageRow }
  | { readonly kind: 'deleted' };

/** The statements over a user's messages. Every one runs as that user, under row level security. */
export function createMessageStore(database: Database) {
  return {
    async page(claims: Claims, query: PageQuery): Promise<Page> {
      const [page] = await database.asUser(claims, () => [pageStatement(claims.sub, query)]);
      return page;
    },

    /** An exchange with what is around it; undefined if it is not there, or does not fit. */
    async around(claims: Claims, query: AroundQuery): Promise<Around | undefined> {
      const [found] = await database.asUser(claims, () => [aroundStatement(claims.sub, query)]);
      return found;
    },

    async search(claims: Claims, query: SearchQuery): Promise<SearchFound> {
      const [found] = await database.asUser(claims, () => [searchStatement(claims.sub, query)]);
      return found;
    },

    /** The number of the user's newest change; 0 for a history that was never written to. */
    async seq(claims: Claims): Promise<bigint> {
      const [rows] = await database.asUser(claims, (db) => [seqStatement(db, claims.sub)]);
      return rows[0]?.seq ?? 0n;
    },

    async find(claims: Claims, id: string): Promise<MessageRow | undefined> {
      const [rows] = await database.asUser(claims, (db) => [
        db.select().from(chatHistory).where(one(claims.sub, id)),
      ]);
      return rows[0];
    },

    /** What stands under a client's id already, or undefined if the id is free. */
    async claimed(claims: Claims, message: SentBody): Promise<Stored | undefined> {
      const [existing, deleted] = await database.asUser(claims, (db) => [
        existingStatement(db, claims.sub, message),
        deletedStatement(db, claims.sub, message.id),
      ]);
      return stored(existing[0], deleted.length > 0);
    },

    /** Stores a message and its reply's lease, unless the id is taken: then tells what stands there. */
    async insert(claims: Claims, message: NewMessage): Promise<Stored> {
      const userId = claims.sub;
      const [, created, existing, deleted] = await database.asUser(claims, (db) => [
        openHistory(db),
        db.execute(sql`
          with created as (
            insert into ${chatHistory}
              (user_id, id, message, personality_context, has_default_context, mood, mood_score, status)
            select asked.user_id, ${message.id}::uuid, ${message.message},
              case when asked.is_default then personality else ${contextParam(message)}::jsonb end,
              asked.is_default and personality is not null, ${message.mood}::chat_mood,
              ${message.moodScore}::float8, 'PENDING'
            from (select ${userId}::uuid as user_id, ${isDefault(message)}::boolean as is_default) as asked
              left join ${chatPersonalities} using (user_id)
            where not exists (select from ${chatHistory} where ${one(userId, message.id)})
              and not exists (select from ${chatDeletions} where ${tombstone(userId, message.id)})
            returning user_id, id
          )
          insert into ${chatReplyLeases} (user_id, message_id, token, expires_at)
          select user_id, id, ${message.token}::uuid, ${inMs(message.leaseMs)} from created
          returning message_id`),
        existingStatement(db, userId, message),
        deletedStatement(db, userId, message.id),
      ]);
      const found = stored(existing[0], deleted.length > 0);
      if (found === undefined) throw new Error('A message was neither stored nor found.');
      if (found.kind !== 'deleted' && created.length > 0)
        return { kind: 'created', row: found.row };
      return found;
    },

    /**
     * Deletes a message and leaves a tombstone; answers the change's number, also that of an earlier
     * deletion. Undefined for an id that never was the user's.
     */
    async delete(
      claims: Claims,
      id: string,
    ): Promise<{ readonly seq: bigint; readonly isNew: boolean } | undefined> {
      const [, gone, tombstones] = await database.asUser(claims, (db) => [
        openHistory(db),
        db.delete(chatHistory).where(one(claims.sub, id)).returning({ id: chatHistory.id }),
        db.select({ seq: chatDeletions.seq }).from(chatDeletions).where(tombstone(claims.sub, id)),
      ]);
      const [deleted] = tombstones;
      return deleted && { seq: deleted.seq, isNew: gone.length > 0 };
    },

    /** What changed after a number. Fewer than `limit` changes are all there are up to `seq`. */
    async changes(claims: Claims, after: bigint, limit: number): Promise<Changes> {
      const [found] = await database.asUser(claims, (db) => [
        changesStatement(db, claims.sub, after, limit),
      ]);
      const changes = found.flatMap(({ seq, id, row }) =>
        seq === null || id === null ? [] : [{ seq, id, row: row as MessageRow | null }],
      );
      return { seq: found[0]?.current ?? 0n, changes };
    },

    /** The user's newest change, then the replies that were being written at that moment or later. */
    async running(claims: Claims): Promise<{ seq: bigint; texts: readonly RunningText[] }> {
      const [counters, texts] = await database.asUser(claims, (db) => [
        seqStatement(db, claims.sub),
        db
          .select({ id: chatHistory.id, seq: chatHistory.seq, response: chatHistory.response })
          .from(chatReplyLeases)
          .innerJoin(chatHistory, one(claims.sub, chatReplyLeases.messageId))
          .where(eq(chatReplyLeases.userId, claims.sub)),
      ]);
      return { seq: counters[0]?.seq ?? 0n, texts };
    },

    async trend(claims: Claims, query: TrendQuery): Promise<readonly MoodPoint[]> {
      const [points] = await database.asUser(claims, (db) => [
        trendStatement(db, claims.sub, query),
      ]);
      return points as readonly unknown[] as readonly MoodPoint[];
    },

    /** The newest exchanges before a message that have a reply, newest first. */
    async turnsBefore(claims: Claims, before: MessageRow, limit: number) {
      const [rows] = await database.asUser(claims, (db) => [
        db
          .select({ message: chatHistory.message, response: chatHistory.response })
          .from(chatHistory)
          .where(
            and(
              eq(chatHistory.userId, claims.sub),
              olderThan({ createdAt: before.createdAt, id: before.id }),
              sql`${chatHistory.response} <> ''`,
            ),
          )
          .orderBy(sql`${chatHistory.createdAt} desc, ${chatHistory.id} desc`)
          .limit(limit),
      ]);
      return rows;
    },
  };
}

export type MessageStore = ReturnType<typeof createMessageStore>;

/** What makes a retry the same message. */
export type SentBody = Pick<NewMessage, 'id' | 'message' | 'personalityContext'>;

type Sent = Pick<NewMessage, 'personalityContext'>;
const isDefault = ({ personalityContext }: Sent) => personalityContext === undefined;
const contextParam = ({ personalityContext }: Sent) =>
  personalityContext ? JSON.stringify(personalityContext) : null;

/** Whether a message is the same does not depend on what the user's personality is by now. */
function existingStatement(db: QueryBuilder, userId: string, body: SentBody) {
  const { hasDefaultContext, personalityContext } = chatHistory;
  const same = sql<boolean>`${chatHistory.message} = ${body.message} and case
    when ${isDefault(body)}::boolean then ${hasDefaultContext} or ${personalityContext} is null
    else not ${hasDefaultContext}
      and ${personalityContext} is not distinct from ${contextParam(body)}::jsonb
    end`;
  return db.select({ row: columns, same }).from(chatHistory).where(one(userId, body.id));
}

function deletedStatement(db: QueryBuilder, userId: string, id: string) {
  return db.select({ id: chatDeletions.id }).from(chatDeletions).where(tombstone(userId, id));
}

function stored(
  found: { row: MessageRow; same: boolean } | undefined,
  deleted: boolean,
): Stored | undefined {
  if (deleted) return { kind: 'deleted' };
  return found && { kind: found.same ? 'existing' : 'different', row: found.row };
}

function seqStatement(db: QueryBuilder, userId: string) {
  return db
    .select({ seq: chatCounters.seq })
    .from(chatCounters)
    .where(eq(chatCounters.userId, userId));
}

/**
 * Messages and tombstones in one statement: two would see two moments, and a change committed between
 * them could be passed over.
 */
function changesStatement(db: QueryBuilder, userId: string, after: bigint, limit: number) {
  const changed = unionAll(
    db
      .select({ seq: chatHistory.seq, id: chatHistory.id })
      .from(chatHistory)
      .where(and(eq(chatHistory.userId, userId), gt(chatHistory.seq, after)))
      .orderBy(chatHistory.seq)
      .limit(limit),
    db
      .select({ seq: chatDeletions.seq, id: chatDeletions.id })
      .from(chatDeletions)
      .where(and(eq(chatDeletions.userId, userId), gt(chatDeletions.seq, after)))
      .orderBy(chatDeletions.seq)
      .limit(limit),
  )
    .orderBy(sql`seq`)
    .limit(limit)
    .as('changed');
  return db
    .select({ current: chatCounters.seq, seq: changed.seq, id: changed.id, row: columns })
    .from(chatCounters)
    .leftJoinLateral(changed, sql`true`)
    .leftJoin(chatHistory, one(userId, changed.id))
    .where(eq(chatCounters.userId, userId))
    .orderBy(changed.seq);
}
