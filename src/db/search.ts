import { eq, sql } from 'drizzle-orm';
import type { QueryBuilder } from './database.ts';
import type { PageQuery } from './pages.ts';
import { chatCounters, chatHistory, type MessageRow } from './schema.ts';
import { columns, one, type Position } from './statements.ts';

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
  readonly row: MessageRow;
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

/**
 * The hits and the user's `seq` in one statement, one hit more than asked for to tell whether there are more.
 * chatkeep.search() finds the ids; what stands under them is read as the user.
 */
export function searchStatement(db: QueryBuilder, userId: string, query: SearchQuery) {
  const place = query.place ?? START;
  const flags =
    query.hasPersonalityContext === undefined ? '{t,f}' : `{${query.hasPersonalityContext}}`;
  const found = sql`chatkeep.search(
    ${arrayOf(query.needles)}::text[], ${arrayOf(query.excluded)}::text[], ${query.within}, ${query.order},
    ${query.size + 1}::int, ${place.createdAt}::timestamptz, ${place.id}::uuid, ${query.place?.rank ?? null}::int,
    ${query.from?.toISOString() ?? '-infinity'}::timestamptz, ${query.to?.toISOString() ?? 'infinity'}::timestamptz,
    ${arrayOf(query.moods ?? ALL_MOODS)}::chat_mood[], ${flags}::boolean[]) as hit`;
  return db
    .select({ seq: chatCounters.seq, row: columns, rank: sql<number | null>`hit.rank` })
    .from(chatCounters)
    .leftJoin(found, sql`true`)
    .leftJoin(chatHistory, one(userId, sql`hit.id`))
    .where(eq(chatCounters.userId, userId))
    .orderBy(sql`hit.rank, hit.created_at desc, hit.id desc`);
}

type Found = Awaited<ReturnType<typeof searchStatement>>;

/** What a search's statement has found. */
export function searchOf(found: Found, { size }: SearchQuery): SearchFound {
  const hits = found.flatMap(({ row, rank }) =>
    row === null || rank === null
      ? []
      : [{ row: row as MessageRow, rank, approximate: rank === NEAR }],
  );
  return { seq: found[0]?.seq ?? 0n, hits: hits.slice(0, size), hasMore: hits.length > size };
}

/** An array's literal: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
const arrayOf = (texts: readonly string[]): string =>
  `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
