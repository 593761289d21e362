import { and, eq, gt, sql } from 'drizzle-orm';
import { unionAll } from 'drizzle-orm/pg-core';
import type { Claims, Database } from './database.ts';
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
  build,
  columns,
  type Exchange,
  inMs,
  olderThan,
  once,
  one,
  openHistory,
  type Position,
  readerOf,
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
      const [seq] = await database.asUser(claims, () => [seqStatement(claims.sub)]);
      return seq;
    },

    async find(claims: Claims, id: string): Promise<MessageRow | undefined> {
      const [row] = await database.asUser(claims, () => [
        selectOne({ userId: claims.sub, id }, ([values]) => values && readRow(values)),
      ]);
      return row;
    },

    /** What stands under a client's id already, or undefined if the id is free. */
    async claimed(claims: Claims, message: SentBody): Promise<Stored | undefined> {
      const [existing, isDeleted] = await database.asUser(claims, () => [
        existingStatement(claims.sub, message),
        deletedStatement(claims.sub, message.id),
      ]);
      return stored(existing, isDeleted);
    },

    /** Stores a message and its reply's lease, unless the id is taken: then tells what stands there. */
    async insert(claims: Claims, message: NewMessage): Promise<Stored> {
      const [, isCreated, existing, isDeleted] = await database.asUser(claims, () => [
        openHistory,
        insertStatement(claims.sub, message),
        existingStatement(claims.sub, message),
        deletedStatement(claims.sub, message.id),
      ]);
      const found = stored(existing, isDeleted);
      if (found === undefined) throw new Error('A message was neither stored nor found.');
      if (found.kind !== 'deleted' && isCreated) return { kind: 'created', row: found.row };
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
        openHistory,
        db.delete(chatHistory).where(one(claims.sub, id)).returning({ id: chatHistory.id }),
        db.select({ seq: chatDeletions.seq }).from(chatDeletions).where(tombstone(claims.sub, id)),
      ]);
      const [deleted] = tombstones;
      return deleted && { seq: deleted.seq, isNew: gone.length > 0 };
    },

    /** What changed after a number. Fewer than `limit` changes are all there are up to `seq`. */
    async changes(claims: Claims, after: bigint, limit: number): Promise<Changes> {
      const [changes] = await database.asUser(claims, () => [
        selectChanges({ userId: claims.sub, after, limit }, readChanges),
      ]);
      return changes;
    },

    /** The user's newest change, then the replies that were being written at that moment or later. */
    async running(claims: Claims): Promise<{ seq: bigint; texts: readonly RunningText[] }> {
      const [seq, texts] = await database.asUser(claims, () => [
        seqStatement(claims.sub),
        selectRunning({ userId: claims.sub }, (rows) => rows.map((values) => readText(values))),
      ]);
      return { seq, texts };
    },

    async trend(claims: Claims, query: TrendQuery): Promise<readonly MoodPoint[]> {
      const [points] = await database.asUser(claims, (db) => [
        trendStatement(db, claims.sub, query),
      ]);
      return points as readonly unknown[] as readonly MoodPoint[];
    },

    /** The newest exchanges before a message that have a reply, newest first. */
    async turnsBefore(claims: Claims, before: MessageRow, limit: number) {
      const { createdAt, id } = before;
      const [turns] = await database.asUser(claims, () => [
        selectTurns({ userId: claims.sub, createdAt, id, limit }, (rows) =>
          rows.map((values) => readTurn(values)),
        ),
      ]);
      return turns;
    },
  };
}

export type MessageStore = ReturnType<typeof createMessageStore>;

/** What makes a retry the same message. */
export type SentBody = Pick<NewMessage, 'id' | 'message' | 'personalityContext'>;

const value = (name: string) => sql.placeholder(name);
const ofUser = eq(chatHistory.userId, value('userId'));
const isIt = one(value('userId'), value('id'));
const isGone = tombstone(value('userId'), value('id'));

const readRow = readerOf(columns);
const selectOne = once<{ userId: string; id: string }>(
  build.select(columns).from(chatHistory).where(isIt),
);

const selectSeq = once<{ userId: string }>(
  build
    .select({ seq: chatCounters.seq })
    .from(chatCounters)
    .where(eq(chatCounters.userId, value('userId'))),
);

const seqStatement = (userId: string) =>
  selectSeq({ userId }, ([values]) => BigInt((values?.[0] as string | undefined) ?? 0));

/** Whose context a message has: its user's, whatever that is then, or the one it brings. */
function contextOf({ personalityContext }: SentBody) {
  return {
    isDefault: personalityContext === undefined,
    context: personalityContext ? JSON.stringify(personalityContext) : null,
  };
}

type WithContext = ReturnType<typeof contextOf> & { readonly userId: string };

const insertOne = once<NewMessage & WithContext>(sql`
  with created as (
    insert into ${chatHistory}
      (user_id, id, message, personality_context, has_default_context, mood, mood_score, status)
    select asked.user_id, ${value('id')}::uuid, ${value('message')},
      case when asked.is_default then personality else ${value('context')}::jsonb end,
      asked.is_default and personality is not null, ${value('mood')}::chat_mood,
      ${value('moodScore')}::float8, 'PENDING'
    from (select ${value('userId')}::uuid as user_id, ${value('isDefault')}::boolean as is_default) as asked
      left join ${chatPersonalities} using (user_id)
    where not exists (select from ${chatHistory} where ${isIt})
      and not exists (select from ${chatDeletions} where ${isGone})
    returning user_id, id
  )
  insert into ${chatReplyLeases} (user_id, message_id, token, expires_at)
  select user_id, id, ${value('token')}::uuid, ${inMs(value('leaseMs'))} from created
  returning message_id`);

/** Answers whether it has stored the message. */
const insertStatement = (userId: string, message: NewMessage) =>
  insertOne({ ...message, ...contextOf(message), userId }, (rows) => rows.length > 0);

const { hasDefaultContext, personalityContext } = chatHistory;
const selectExisting = once<SentBody & WithContext>(
  build
    .select({
      ...columns,
      // Whether a message is the same does not depend on what the user's personality is by now.
      same: sql`${chatHistory.message} = ${value('message')} and case
        when ${value('isDefault')}::boolean then ${hasDefaultContext} or ${personalityContext} is null
        else not ${hasDefaultContext}
          and ${personalityContext} is not distinct from ${value('context')}::jsonb
        end`,
    })
    .from(chatHistory)
    .where(isIt),
);

const existingStatement = (userId: string, body: SentBody) =>
  selectExisting({ ...body, ...contextOf(body), userId }, ([values]) =>
    values ? { row: readRow(values), same: values.at(-1) === true } : undefined,
  );

const selectDeleted = once<{ userId: string; id: string }>(
  build.select({ id: chatDeletions.id }).from(chatDeletions).where(isGone),
);

const deletedStatement = (userId: string, id: string) =>
  selectDeleted({ userId, id }, (rows) => rows.length > 0);

function stored(
  found: { row: MessageRow; same: boolean } | undefined,
  isDeleted: boolean,
): Stored | undefined {
  if (isDeleted) return { kind: 'deleted' };
  return found && { kind: found.same ? 'existing' : 'different', row: found.row };
}

/**
 * Messages and tombstones in one statement: two would see two moments, and a change committed between
 * them could be passed over.
 */
const changed = unionAll(
  build
    .select({ seq: chatHistory.seq, id: chatHistory.id })
    .from(chatHistory)
    .where(and(ofUser, gt(chatHistory.seq, value('after'))))
    .orderBy(chatHistory.seq)
    .limit(value('limit')),
  build
    .select({ seq: chatDeletions.seq, id: chatDeletions.id })
    .from(chatDeletions)
    .where(and(eq(chatDeletions.userId, value('userId')), gt(chatDeletions.seq, value('after'))))
    .orderBy(chatDeletions.seq)
    .limit(value('limit')),
)
  .orderBy(sql`seq`)
  .limit(value('limit'))
  .as('changed');
const selectChanges = once<{ userId: string; after: bigint; limit: number }>(
  build
    .select({
      current: chatCounters.seq,
      changedSeq: changed.seq,
      changedId: changed.id,
      ...columns,
    })
    .from(chatCounters)
    .leftJoinLateral(changed, sql`true`)
    .leftJoin(chatHistory, one(value('userId'), changed.id))
    .where(eq(chatCounters.userId, value('userId')))
    .orderBy(changed.seq),
);

const ID = Object.keys(columns).indexOf('id');

/** The counter, the change's number and id, then the message's columns, in each row; nulls for what is not there. */
function readChanges(rows: readonly unknown[][]): Changes {
  const changes = rows
    .filter(([, seq]) => seq !== null)
    .map((values) => ({
      seq: BigInt(values[1] as string),
      id: values[2] as string,
      row: values[3 + ID] === null ? null : readRow(values, 3),
    }));
  return { seq: BigInt((rows[0]?.[0] as string | undefined) ?? 0), changes };
}

const runningText = {
  id: chatHistory.id,
  seq: chatHistory.seq,
  response: chatHistory.response,
};
const readText = readerOf(runningText);
const selectRunning = once<{ userId: string }>(
  build
    .select(runningText)
    .from(chatReplyLeases)
    .innerJoin(chatHistory, one(value('userId'), chatReplyLeases.messageId))
    .where(eq(chatReplyLeases.userId, value('userId'))),
);

const turn = { message: chatHistory.message, response: chatHistory.response };
const readTurn = readerOf(turn);
const selectTurns = once<Position & { userId: string; limit: number }>(
  build
    .select(turn)
    .from(chatHistory)
    .where(
      and(
        ofUser,
        olderThan({ createdAt: value('createdAt'), id: value('id') }),
        sql`${chatHistory.response} <> ''`,
      ),
    )
    .orderBy(sql`${chatHistory.createdAt} desc, ${chatHistory.id} desc`)
    .limit(value('limit')),
);
