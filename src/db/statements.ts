import {
  type AnyColumn,
  and,
  eq,
  type GetColumnData,
  getTableColumns,
  is,
  Placeholder,
  type SQL,
  type SQLWrapper,
  sql,
} from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import { drizzle } from 'drizzle-orm/pg-proxy';
import type { Prepared, QueryBuilder } from './database.ts';
import { chatDeletions, chatHistory, chatReplyLeases, type MessageRow } from './schema.ts';

/* What the statements over a user's history are made of. */

/** Only builds statements: what is sent goes through a `Database`. */
export const build: QueryBuilder = drizzle(() => Promise.reject(new Error('Only builds.')));

/**
 * A statement that is built once, since for Drizzle that takes as long as for PostgreSQL to answer it. What
 * differs from time to time are placeholders, whose values go to PostgreSQL as they are given.
 */
export function once<V extends object>(query: SQLWrapper) {
  const { sql: text, params } = new PgDialect().sqlToQuery(query.getSQL());
  const names = params.map((param) =>
    is(param, Placeholder) ? (param.name as keyof V) : undefined,
  );
  return <T>(values: V, read: (rows: readonly unknown[][]) => T): Prepared<T> => ({
    sql: text,
    params: names.map((name, i) => (name === undefined ? params[i] : values[name])),
    read,
  });
}

/** Reads some columns of a row, where their values begin at a place in it. */
export function readerOf<C extends Readonly<Record<string, AnyColumn>>>(selected: C) {
  const entries = Object.entries(selected);
  type Row = { -readonly [K in keyof C]: GetColumnData<C[K]> };
  return (values: readonly unknown[], begin = 0): Row => {
    const row: Record<string, unknown> = {};
    for (let i = 0; i < entries.length; i += 1) {
      const [name, column] = entries[i] as (typeof entries)[number];
      const value = values[begin + i];
      row[name] = value === null ? null : column.mapFromDriverValue(value);
    }
    return row as Row;
  };
}

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
export const SHOWN = Object.keys(shown) as (keyof typeof shown)[];

const readShown = readerOf(shown);

/** An exchange from a row's values, where those of SHOWN begin at a place. */
export const exchangeOf = (userId: string, values: readonly unknown[], begin: number): Exchange =>
  Object.assign(readShown(values, begin), { userId });

/** First statement of every change: see chatkeep.open_history() in drizzle/. */
export const openHistory = once(sql`select chatkeep.open_history()`)({}, () => undefined);

/** Where a value is put in. */
type Given = string | Placeholder;

export const one = (userId: Given, id: Given | AnyColumn | SQL) =>
  and(eq(chatHistory.userId, userId), eq(chatHistory.id, id));

export const tombstone = (userId: Given, id: Given) =>
  and(eq(chatDeletions.userId, userId), eq(chatDeletions.id, id));

export const leaseOf = (userId: Given, id: Given, token: Given) =>
  and(
    eq(chatReplyLeases.userId, userId),
    eq(chatReplyLeases.messageId, id),
    eq(chatReplyLeases.token, token),
  );

export const inMs = (ms: number | Placeholder) =>
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
