import { and, eq, sql } from 'drizzle-orm';
import type { Prepared } from './database.ts';
import { chatCounters, chatHistory, type MessageRow } from './schema.ts';
import {
  build,
  type Exchange,
  exchangeOf,
  newerThan,
  olderThan,
  once,
  type Place,
  type Position,
  SHOWN,
  shown,
} from './statements.ts';

/** Which exchanges there are for a query; without a part: whatever it is. */
interface Filter {
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  readonly moods?: readonly MessageRow['mood'][] | undefined;
  readonly hasPersonalityContext?: boolean | undefined;
}

/** A stretch of the history: `size` exchanges, the nearest to a place on one side of it. */
export interface PageQuery extends Filter {
  readonly size: number;
  readonly towards: 'older' | 'newer';
  /** The place, not part of the page itself. Without: the end of the history that lies opposite. */
  readonly place?: Position | undefined;
  /** How many to leave out next to the place. */
  readonly offset?: number | undefined;
}

export interface Page {
  /** The user's newest change, as read in the same statement as the rows. */
  readonly seq: bigint;
  /** Newest first, whichever way the page was read. */
  readonly rows: readonly Exchange[];
  /** Whether there are more in the direction in which it was read. */
  readonly hasMore: boolean;
}

/** An exchange, and so many on both sides of it. */
export interface AroundQuery extends Filter {
  readonly id: string;
  readonly newer: number;
  readonly older: number;
}

export interface Around extends Pick<Page, 'seq' | 'rows'> {
  readonly hasNewer: boolean;
  readonly hasOlder: boolean;
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
  readonly from: string;
  readonly to: string;
  readonly moods: string;
  readonly flags: string;
  readonly id: string;
  readonly createdAt?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly newer?: number;
  readonly older?: number;
}

const value = (name: keyof Values) => sql.placeholder(name);

const ID = SHOWN.indexOf('id');

/** One page and the user's `seq` in one statement. */
export function pageStatement(userId: string, query: PageQuery): Prepared<Page> {
  const values = {
    ...valuesOf(userId, query),
    ...(query.place ?? DIRECTIONS[query.towards].start),
    limit: query.size + 1,
    offset: query.offset ?? 0,
  };
  return STATEMENTS[query.towards](values, (found) => pageOf(userId, found, query));
}

/** The same for an exchange with what is around it; it finds out itself where that stands. */
export function aroundStatement(userId: string, query: AroundQuery): Prepared<Around | undefined> {
  const { id, newer, older } = query;
  const values = { ...valuesOf(userId, query), id, newer: newer + 1, older: older + 1 };
  return STATEMENTS.around(values, (found) => aroundOf(userId, found, query));
}

/**
 * A statement has one shape whatever the filter: a part that is not given is given its widest value, so
 * that the range on the index is always the same.
 */
function valuesOf(userId: string, { from, to, moods, hasPersonalityContext }: Filter) {
  return {
    userId,
    from: from?.toISOString() ?? '-infinity',
    to: to?.toISOString() ?? 'infinity',
    moods: `{${(moods ?? ALL_MOODS).join(',')}}`,
    flags: hasPersonalityContext === undefined ? '{t,f}' : `{${hasPersonalityContext}}`,
  };
}

const ofUser = eq(chatHistory.userId, value('userId'));
const isIt = and(ofUser, eq(chatHistory.id, value('id')));
const fits = and(
  sql`${chatHistory.createdAt} >= ${value('from')}::timestamptz`,
  sql`${chatHistory.createdAt} < ${value('to')}::timestamptz`,
  sql`${chatHistory.mood} = any(${value('moods')}::chat_mood[])`,
  sql`${chatHistory.hasPersonalityContext} = any(${value('flags')}::boolean[])`,
);
const given: Place = { createdAt: value('createdAt'), id: value('id') };
const found: Place = {
  createdAt: sql`(select ${chatHistory.createdAt} from ${chatHistory} where ${isIt})`,
  id: value('id'),
};

const STATEMENTS = {
  older: withSeq(stretch('older', given, 'limit').offset(value('offset')).as('page')),
  newer: withSeq(stretch('newer', given, 'limit').offset(value('offset')).as('page')),
  around: withSeq(
    stretch('newer', found, 'newer')
      .unionAll(build.select(shown).from(chatHistory).where(and(isIt, fits)))
      .unionAll(stretch('older', found, 'older'))
      .as('page'),
  ),
};

/** The rows next to a place. One more than asked for tells whether there are more. */
function stretch(towards: PageQuery['towards'], place: Place, limit: keyof Values) {
  const { beyond, order } = DIRECTIONS[towards];
  return build
    .select(shown)
    .from(chatHistory)
    .where(and(ofUser, beyond(place), fits))
    .orderBy(order)
    .limit(value(limit));
}

function withSeq(page: ReturnType<ReturnType<typeof stretch>['as']>) {
  const row = Object.fromEntries(SHOWN.map((name) => [name, page[name]]));
  return once<Values>(
    build
      .select({ current: chatCounters.seq, ...row })
      .from(chatCounters)
      .leftJoinLateral(page, sql`true`)
      .where(eq(chatCounters.userId, value('userId')))
      .orderBy(sql`${page.createdAt} desc, ${page.id} desc`),
  );
}

type Rows = readonly unknown[][];

/** What a page's statement has found: the counter, then the row's columns, in each row. */
function pageOf(userId: string, found: Rows, { size, towards }: PageQuery): Page {
  const rows = rowsOf(userId, found);
  return {
    seq: seqOf(found),
    rows: towards === 'older' ? rows.slice(0, size) : rows.slice(-size),
    hasMore: rows.length > size,
  };
}

/** The same for what is around an exchange; undefined if that is not there. */
function aroundOf(
  userId: string,
  found: Rows,
  { id, newer, older }: AroundQuery,
): Around | undefined {
  const rows = rowsOf(userId, found);
  const middle = rows.findIndex((row) => row.id === id);
  if (middle === -1) return undefined;
  return {
    seq: seqOf(found),
    rows: rows.slice(Math.max(0, middle - newer), middle + 1 + older),
    hasNewer: middle > newer,
    hasOlder: rows.length > middle + 1 + older,
  };
}

const seqOf = (found: Rows) => BigInt((found[0]?.[0] as string | undefined) ?? 0);

/** An empty page is a counter alone, or nothing at all. */
function rowsOf(userId: string, found: Rows): Exchange[] {
  const [first] = found;
  const isEmpty = first === undefined || first[1 + ID] === null;
  return isEmpty ? [] : found.map((values) => exchangeOf(userId, values, 1));
}
