import { and, eq, type SQL, sql } from 'drizzle-orm';
import type { QueryBuilder } from './database.ts';
import type { PageQuery } from './pages.ts';
import { chatCounters, chatHistory, type MessageRow } from './schema.ts';
import { columns, olderThan, type Position } from './statements.ts';

/** A text to look for, folded as chatkeep.fold() folds; found anywhere, as a part of a word too. */
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

/** A hit's place, and the rank it stood at: where RELEVANCE goes on. */
export interface SearchPlace extends Position {
  readonly rank?: number | undefined;
}

export interface SearchHit {
  readonly row: MessageRow;
  /** 0: every needle is a word of the text; 1: begins one; 2: is in it; 3: only something near is. */
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

/** The hits and the user's `seq` in one statement. One more than asked for tells whether there are more. */
export function searchStatement(db: QueryBuilder, userId: string, query: SearchQuery) {
  const moods = `{${(query.moods ?? ALL_MOODS).join(',')}}`;
  const flags =
    query.hasPersonalityContext === undefined ? '{t,f}' : `{${query.hasPersonalityContext}}`;
  const hits = db
    .select()
    .from(chatHistory)
    .where(
      and(
        eq(chatHistory.userId, userId),
        sql`${chatHistory.createdAt} >= ${query.from?.toISOString() ?? '-infinity'}::timestamptz`,
        sql`${chatHistory.createdAt} < ${query.to?.toISOString() ?? 'infinity'}::timestamptz`,
        olderThan(query.place ?? START),
        sql`${chatHistory.mood} = any(${moods}::chat_mood[])`,
        sql`${chatHistory.hasPersonalityContext} = any(${flags}::boolean[])`,
        ...query.needles.map((needle) => holds(needle, query.within)),
        ...query.excluded.map((needle) => sql`not ${holds(needle, 'BOTH')}`),
      ),
    )
    .orderBy(sql`${chatHistory.createdAt} desc, ${chatHistory.id} desc`)
    .limit(query.size + 1)
    .as('hits');
  const row = Object.fromEntries(
    Object.keys(columns).map((name) => [name, hits[name as keyof typeof columns]]),
  ) as { [K in keyof typeof columns]: (typeof hits)[K] };
  return db
    .select({ seq: chatCounters.seq, row })
    .from(chatCounters)
    .leftJoinLateral(hits, sql`true`)
    .where(eq(chatCounters.userId, userId))
    .orderBy(sql`${hits.createdAt} desc, ${hits.id} desc`);
}

type Found = Awaited<ReturnType<typeof searchStatement>>;

/** What a search's statement has found. */
export function searchOf(found: Found, { size }: SearchQuery): SearchFound {
  const hits = found.flatMap(({ row }) =>
    row === null ? [] : [{ row: row as MessageRow, rank: 2, approximate: false }],
  );
  return { seq: found[0]?.seq ?? 0n, hits: hits.slice(0, size), hasMore: hits.length > size };
}

function holds(needle: Needle, within: SearchQuery['within']): SQL {
  const inMessage = sql`position(chatkeep.fold(${needle}) in chatkeep.fold(${chatHistory.message})) > 0`;
  const inResponse = sql`position(chatkeep.fold(${needle}) in chatkeep.fold(${chatHistory.response})) > 0`;
  if (within === 'MESSAGE') return inMessage;
  if (within === 'RESPONSE') return inResponse;
  return sql`(${inMessage} or ${inResponse})`;
}
