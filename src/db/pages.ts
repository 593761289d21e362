import { and, eq, sql } from 'drizzle-orm';
import type { QueryBuilder } from './database.ts';
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

/**
 * One page and the user's `seq` in one statement, of one shape whatever the filter: a part that is
 * not given is given its widest value, so that the range on the index is always the same. One row
 * more than asked for tells whether there are more.
 */
export function pageStatement(db: QueryBuilder, userId: string, query: PageQuery) {
  const { beyond, start, order } = DIRECTIONS[query.towards];
  const moods = `{${(query.moods ?? ALL_MOODS).join(',')}}`;
  const flags =
    query.hasPersonalityContext === undefined ? '{t,f}' : `{${query.hasPersonalityContext}}`;
  const page = db
    .select()
    .from(chatHistory)
    .where(
      and(
        eq(chatHistory.userId, userId),
        sql`${chatHistory.createdAt} >= ${query.from?.toISOString() ?? '-infinity'}::timestamptz`,
        sql`${chatHistory.createdAt} < ${query.to?.toISOString() ?? 'infinity'}::timestamptz`,
        beyond(query.place ?? start),
        sql`${chatHistory.mood} = any(${moods}::chat_mood[])`,
        sql`${chatHistory.hasPersonalityContext} = any(${flags}::boolean[])`,
      ),
    )
    .orderBy(order)
    .limit(query.size + 1)
    .offset(query.offset ?? 0)
    .as('page');
  const row = Object.fromEntries(
    Object.keys(columns).map((name) => [name, page[name as keyof typeof columns]]),
  ) as { [K in keyof typeof columns]: (typeof page)[K] };
  return db
    .select({ seq: chatCounters.seq, row })
    .from(chatCounters)
    .leftJoinLateral(page, sql`true`)
    .where(eq(chatCounters.userId, userId))
    .orderBy(sql`${page.createdAt} desc, ${page.id} desc`);
}

type Found = Awaited<ReturnType<typeof pageStatement>>;

/** What a page's statement has found. */
export function pageOf(found: Found, { size, towards }: PageQuery): Page {
  const rows = found.flatMap(({ row }) => (row === null ? [] : [row as MessageRow]));
  return {
    seq: found[0]?.seq ?? 0n,
    rows: towards === 'older' ? rows.slice(0, size) : rows.slice(-size),
    hasMore: rows.length > size,
  };
}
