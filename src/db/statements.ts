import {
  type AnyColumn,
  and,
  eq,
  getTableColumns,
  type Placeholder,
  type SQL,
  sql,
} from 'drizzle-orm';
import type { QueryBuilder } from './database.ts';
import { chatDeletions, chatHistory, chatReplyLeases, type MessageRow } from './schema.ts';

/* What the statements of messages.ts and replies.ts are made of. */

/** A place in the history; `createdAt` as PostgreSQL prints it, in microseconds. */
export interface Position {
  readonly createdAt: string;
  readonly id: string;
}

/** A position, or where one is put in or found out. */
export type Place = { readonly [K in keyof Position]: Position[K] | Placeholder | SQL };

/** An exchange as its user sees it, without what the server alone goes by. */
export type Exchange = Omit<MessageRow, 'seq' | 'replySeq' | 'hasDefaultContext'>;

export const columns = getTableColumns(chatHistory);
const { userId: _, seq: __, replySeq: ___, hasDefaultContext: ____, ...ofExchange } = columns;
/** What is read of an exchange: each value costs something, be it asked for or not. */
export const shown = ofExchange;
export const SHOWN = Object.entries(shown) as [keyof typeof shown, AnyColumn][];

/** An exchange from a row's values, where those of SHOWN begin at a place. */
export function exchangeOf(userId: string, values: readonly unknown[], begin: number): Exchange {
  const row: Record<string, unknown> = { userId };
  for (let i = 0; i < SHOWN.length; i += 1) {
    const [name, column] = SHOWN[i] as (typeof SHOWN)[number];
    const value = values[begin + i];
    row[name] = value === null ? null : column.mapFromDriverValue(value);
  }
  return row as Exchange;
}

/** First statement of every change: see chatkeep.open_history() in drizzle/. */
export const openHistory = (db: QueryBuilder) => db.execute(sql`select chatkeep.open_history()`);

export const one = (userId: string, id: string | AnyColumn | SQL) =>
  and(eq(chatHistory.userId, userId), eq(chatHistory.id, id));

export const tombstone = (userId: string, id: string) =>
  and(eq(chatDeletions.userId, userId), eq(chatDeletions.id, id));

export const leaseOf = (userId: string, id: string, token: string) =>
  and(
    eq(chatReplyLeases.userId, userId),
    eq(chatReplyLeases.messageId, id),
    eq(chatReplyLeases.token, token),
  );

export const inMs = (ms: number) =>
  sql<string>`clock_timestamp() + ${ms} * interval '1 millisecond'`;

/*
 * PostgreSQL begins a walk on the index at a bound of its first column alone, and from there to the
 * place it would skip row by row: hence the place's time by itself, in the form of the filter's bound
 * (< and >=), since two of one form are one bound, the narrower.
 */

export const olderThan = ({ createdAt, id }: Place): SQL =>
  sql`${chatHistory.createdAt} < ${createdAt}::timestamptz + interval '1 microsecond'
    and (${chatHistory.createdAt}, ${chatHistory.id}) < (${createdAt}::timestamptz, ${id}::uuid)`;

export const newerThan = ({ createdAt, id }: Place): SQL =>
  sql`${chatHistory.createdAt} >= ${createdAt}::timestamptz
    and (${chatHistory.createdAt}, ${chatHistory.id}) > (${createdAt}::timestamptz, ${id}::uuid)`;
