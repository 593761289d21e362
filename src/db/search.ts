import { eq, sql } from 'drizzle-orm';
import type { Prepared } from './database.ts';
import type { PageQuery } from './pages.ts';
import { chatCounters, chatHistory } from './schema.ts';
import {
  build,
  type Exchange,
  exchangeOf,
  once,
  one,
  type Position,
  SHOWN,
  shown,
} from './statements.ts';

/** A text to look for, anywhere, as a part of a word too; compared as chatkeep.fold() folds it. */
export type Needle = string;

type Filter = Pick<PageQuery, 'from' | 'to' | 'moods' | 'hasPersonalityContext'>;

/** What a user looks for in their history. */
export interface SearchQuery extends Filter {
  readonly size: number;
  /** RELEVANCE is by rank, then newest first. */
  readonly order: 'NEWEST' | 'RELEVANCE';
  /** The place after which to go on, not part of what is found. */
  readonly place?: SearchPlace | undefined;
  /** All of them have to occur. */
  readonly needles: readonly Needle[];
  /** None of them may occur, in either text. */
  readonly excluded: readonly Needle[];
  /** Where the needles have to occur: each in either text, or all in one of them. */
  readonly within: 'BOTH' | 'MESSAGE' | 'RESPONSE';
}

/** A hit's place, and the rank it stood at: where RELEVANCE goes on, and both among near spellings. */
export interface SearchPlace extends Position {
  readonly rank?: number | undefined;
}

export interface SearchHit {
  readonly row: Exchange;
  /**
   * 0: every needle is a word of the text; 1: begins one; 2: is in it, which NEWEST says of all; 3: it is not,
   * but something near it is.
   */
  readonly rank: number;
  /** Whether nothing holds the needles, and this one comes near. */
  readonly approximate: boolean;
}

export interface SearchFound {
  /** The user's newest change, as read in the same statement as the hits. */
  readonly seq: bigint;
  readonly hits: readonly SearchHit[];
  readonly hasMore: boolean;
}

const ALL_MOODS = ['POSITIVE', 'NEUTRAL', 'NEGATIVE'] as const;
const START = { createdAt: 'infinity', id: 'ffffffff-ffff-ffff-ffff-ffffffffffff' };
const NEAR = 3;

/** The hits and the user's `seq` in one statement, one hit more than asked for to tell whether there are more. */
export function searchStatement(userId: string, query: SearchQuery): Prepared<SearchFound> {
  const place = query.place ?? START;
  const flags =
    query.hasPersonalityContext === undefined ? '{t,f}' : `{${query.hasPersonalityContext}}`;
  const values = {
    userId,
    needles: arrayOf(query.needles),
    excluded: arrayOf(query.excluded),
    within: query.within,
    order: query.order,
    size: query.size + 1,
    createdAt: place.createdAt,
    id: place.id,
    rank: query.place?.rank ?? null,
    from: query.from?.toISOString() ?? '-infinity',
    to: query.to?.toISOString() ?? 'infinity',
    moods: arrayOf(query.moods ?? ALL_MOODS),
    flags,
  };
  return STATEMENT(values, (found) => searchOf(userId, found, query));
}

/** What differs from search to search. */
interface Values {
  readonly userId: string;
  readonly needles: string;
  readonly excluded: string;
  readonly within: string;
  readonly order: string;
  readonly size: number;
  readonly createdAt: string;
  readonly id: string;
  readonly rank: number | null;
  readonly from: string;
  readonly to: string;
  readonly moods: string;
  readonly flags: string;
}

const value = (name: keyof Values) => sql.placeholder(name);

const found = sql`chatkeep.search(
  ${value('needles')}::text[], ${value('excluded')}::text[], ${value('within')}, ${value('order')},
  ${value('size')}::int, ${value('createdAt')}::timestamptz, ${value('id')}::uuid, ${value('rank')}::int,
  ${value('from')}::timestamptz, ${value('to')}::timestamptz,
  ${value('moods')}::chat_mood[], ${value('flags')}::boolean[]) as hit`;

/** chatkeep.search() finds the ids; what stands under them is read as the user. */
const STATEMENT = once<Values>(
  build
    .select({ current: chatCounters.seq, rank: sql`hit.rank`, ...shown })
    .from(chatCounters)
    .leftJoin(found, sql`true`)
    .leftJoin(chatHistory, one(value('userId'), sql`hit.id`))
    .where(eq(chatCounters.userId, value('userId')))
    .orderBy(sql`hit.rank, hit.created_at desc, hit.id desc`),
);

const ID = 2 + SHOWN.indexOf('id');

/** What the statement has found: the counter, the rank, then the row's columns, in each row. */
function searchOf(userId: string, found: readonly unknown[][], { size }: SearchQuery): SearchFound {
  const hits = found
    .filter((values) => values[ID] !== null)
    .map((values) => {
      const rank = values[1] as number;
      return { row: exchangeOf(userId, values, 2), rank, approximate: rank === NEAR };
    });
  const seq = BigInt((found[0]?.[0] as string | undefined) ?? 0);
  return { seq, hits: hits.slice(0, size), hasMore: hits.length > size };
}

/** An array's literal: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
const arrayOf = (texts: readonly string[]): string =>
  `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
