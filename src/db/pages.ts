import { type AnyColumn, and, eq, type Placeholder, sql } from 'drizzle-orm';
import { QueryBuilder } from 'drizzle-orm/pg-core';
import type { Prepared } from './database.ts';
import { chatCounters, chatHistory, type MessageRow } from './schema.ts';
import { columns, newerThan, olderThan, type Position } from './statements.ts';

/** A stretch of the history: `size` exchanges, the nearest to a place on one side of it. */
export interface PageQuery {
  readonly size: number;
  readonly towards: 'older' | 'newer';
  /** The place, not part of the page itself. Without: the end of the history that lies opposite. */
  readonly place?: Position | undefined;
  /** How many to leave out next to the place. */
  readonly offset?: number | undefined;
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  readonly moods?: readonly MessageRow['mood'][] | undefined;
  readonly hasPersonalityContext?: boolean | undefined;
}

export interface Page {
  /** The user's newest change, as read in the same statement as the rows. */
  readonly seq: bigint;
  /** Newest first, whichever way the page was read. */
  readonly rows: readonly MessageRow[];
  /** Whether there are more in the direction in which it was read. */
  readonly hasMore: boolean;
}

const ALL_MOODS = ['POSITIVE', 'NEUTRAL', 'NEGATIVE'] as const;

/*
 * Both ways down the same index. Another order is another statement: as a parameter it would be
 * sorted, and no walk on the index.
 */
const DIRECTIONS = {
  older: {
    beyond: olderThan,
    start: { createdAt: 'infinity', id: 'ffffffff-ffff-ffff-ffff-ffffffffffff' },
    order: sql`${chatHistory.createdAt} desc, ${chatHistory.id} desc`,
  },
  newer: {
    beyond: newerThan,
    start: { createdAt: '-infinity', id: '00000000-0000-0000-0000-000000000000' },
    order: sql`${chatHistory.createdAt} asc, ${chatHistory.id} asc`,
  },
} as const;

/** What differs from page to page. */
interface Values {
  readonly userId: string;
  readonly createdAt: string;
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly moods: string;
  readonly flags: string;
  readonly limit: number;
  readonly offset: number;
}

const value = (name: keyof Values) => sql.placeholder(name);
const nameOf = (param: unknown) => (param as Placeholder<keyof Values>).name;

const COLUMNS = Object.entries(columns) as [keyof MessageRow, AnyColumn][];

/**
 * One page and the user's `seq` in one statement, of one shape whatever the filter: a part that is
 * not given is given its widest value, so that the range on the index is always the same. One row
 * more than asked for tells whether there are more.
 */
export function pageStatement(userId: string, query: PageQuery): Prepared<Page> {
  const { createdAt, id } = query.place ?? DIRECTIONS[query.towards].start;
  const flag = query.hasPersonalityContext;
  const values: Values = {
    userId,
    createdAt,
    id,
    from: query.from?.toISOString() ?? '-infinity',
    to: query.to?.toISOString() ?? 'infinity',
    moods: `{${(query.moods ?? ALL_MOODS).join(',')}}`,
    flags: flag === undefined ? '{t,f}' : `{${flag}}`,
    limit: query.size + 1,
    offset: query.offset ?? 0,
  };
  const { text, names } = BUILT[query.towards];
  return {
    sql: text,
    params: names.map((name) => values[name]),
    read: (found) => pageOf(found, query),
  };
}

/** Both statements are built once: for Drizzle that takes as long as for PostgreSQL to answer them. */
const BUILT = { older: build('older'), newer: build('newer') };

function build(towards: PageQuery['towards']) {
  const { beyond, order } = DIRECTIONS[towards];
  const db = new QueryBuilder();
  const page = db
    .select()
    .from(chatHistory)
    .where(
      and(
        eq(chatHistory.userId, value('userId')),
        sql`${chatHistory.createdAt} >= ${value('from')}::timestamptz`,
        sql`${chatHistory.createdAt} < ${value('to')}::timestamptz`,
        beyond({ createdAt: value('createdAt'), id: value('id') }),
        sql`${chatHistory.mood} = any(${value('moods')}::chat_mood[])`,
        sql`${chatHistory.hasPersonalityContext} = any(${value('flags')}::boolean[])`,
      ),
    )
    .orderBy(order)
    .limit(value('limit'))
    .offset(value('offset'))
    .as('page');
  const row = Object.fromEntries(COLUMNS.map(([name]) => [name, page[name]]));
  const { sql: text, params } = db
    .select({ current: chatCounters.seq, ...row })
    .from(chatCounters)
    .leftJoinLateral(page, sql`true`)
    .where(eq(chatCounters.userId, value('userId')))
    .orderBy(sql`${page.createdAt} desc, ${page.id} desc`)
    .toSQL();
  return { text, names: params.map(nameOf) };
}

/** What a page's statement has found: the counter, then the row's columns, in each row. */
function pageOf(found: readonly unknown[][], { size, towards }: PageQuery): Page {
  const rows = found[0]?.[1 + USER_ID] == null ? [] : found.map(rowOf);
  return {
    seq: BigInt((found[0]?.[0] as string | undefined) ?? 0),
    rows: towards === 'older' ? rows.slice(0, size) : rows.slice(-size),
    hasMore: rows.length > size,
  };
}

const USER_ID = COLUMNS.findIndex(([name]) => name === 'userId');

function rowOf(values: readonly unknown[]): MessageRow {
  const row: Record<string, unknown> = {};
  COLUMNS.forEach(([name, column], i) => {
    const value = values[1 + i];
    row[name] = value === null ? null : column.mapFromDriverValue(value);
  });
  return row as MessageRow;
}
