import { type SQL, sql } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import postgres from 'postgres';
import { createDatabase, type Database } from '../../src/db/database.ts';
import { createMessageStore, type MessageStore } from '../../src/db/messages.ts';
import { searchPage } from '../../src/services/search.ts';
import { exchangeOf } from '../kit/corpus.ts';
import { SEARCH } from '../kit/http.ts';
import { serve } from '../kit/remote.ts';
import type { Shape } from '../kit/shapes.ts';
import { percentile } from '../kit/statistics.ts';
import { JWT_SECRET, tokenOf } from '../kit/tokens.ts';
import { openHttp, requestOf } from './http-client.ts';

/** Who searches: the product, plain ILIKE under row level security, or pg_trgm without that. */
export type Searcher = 'limit' | 'chatkeep' | 'ilike';

/** One search, again and again. */
export interface Asked {
  readonly as: Searcher;
  readonly userId: string;
  readonly shape: Shape;
  /** The month to which some shapes are confined. */
  readonly month: { readonly from: string; readonly to: string };
}

export interface Latencies {
  /** In ms. */
  readonly p50: number;
  readonly p95: number;
}

export interface SearchLoad {
  connect(given: { ownerUrl: string }): void;
  /** Searches so often, or for so long, but once at least. */
  search(given: Asked & { atMost: number; seconds: number }): Promise<Latencies>;
  /** How many exchanges ILIKE finds. */
  count(given: Omit<Asked, 'as'>): Promise<number>;
  /** Over HTTP, of the product: the same page again and again, or each time one that was not asked for yet. */
  ask(
    given: Omit<Asked, 'as' | 'month'> & { url: string; cached: boolean; times: number },
  ): Promise<Times>;
  /** Stores so many exchanges of users in turn, each by a statement of its own. */
  insert(given: { userIds: readonly string[]; times: number }): Promise<Inserts>;
  /** Begins to store exchanges at an even rate, until `rest`. */
  write(given: { userIds: readonly string[]; aSecond: number }): void;
  rest(): Promise<{ readonly times: number; readonly longest: number }>;
}

/** In ms. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
}

export interface Inserts {
  /** In ms. */
  readonly mean: number;
  readonly p99: number;
  /** Of PostgreSQL's log, a row. */
  readonly walBytes: number;
}

/** As many as searchChats answers when nobody says how many. */
const FIRST = 20;

/** As bench/parts/search.ts indexes it for the limit. */
const text = sql`(message || E'\n' || response)`;

let messages: MessageStore;
/** As any user, for ILIKE: each statement is planned for its values. */
let database: Database;
let owner: postgres.Sql;
let url: string;
/** Exchanges that were sent so far. */
let inserted = 0;
/** Pages that were asked for so far. */
let asked = 0;
let rest: SearchLoad['rest'];

/** The limit's text is indexed as one; plain ILIKE looks at each column, as it would be written. */
function matches({ as, shape, month }: Omit<Asked, 'userId'>): SQL {
  const contains = (word: string) => {
    const pattern = `%${word}%`;
    if (as !== 'limit') return sql`(message ilike ${pattern} or response ilike ${pattern})`;
    return shape.near ? sql`${text} %> ${word}` : sql`${text} ilike ${pattern}`;
  };
  const all = shape.words.map(contains);
  if (shape.without) all.push(sql`not ${contains(shape.without)}`);
  if (shape.month) all.push(sql`created_at >= ${month.from}::timestamptz`);
  if (shape.month) all.push(sql`created_at < ${month.to}::timestamptz`);
  if (shape.mood) all.push(sql`mood = ${shape.mood}::chat_mood`);
  return sql.join(all, sql` and `);
}

/** What the product reads of a hit. */
const COLUMNS = sql.raw(
  'id, seq, message, response, status, failure, personality_context, mood, mood_score, created_at, updated_at',
);

const pageOf = (asked: Asked) => sql`
  select ${COLUMNS} from chat_history where user_id = ${asked.userId}::uuid and ${matches(asked)}
  order by created_at desc, id desc limit ${FIRST + 1}`;

const searches: Readonly<Record<Searcher, (asked: Asked) => Promise<unknown>>> = {
  async chatkeep({ userId, shape, month }) {
    const filter = {
      ...(shape.month && { from: new Date(month.from), to: new Date(month.to) }),
      ...(shape.mood && { mood: [shape.mood] }),
    };
    const page = await searchPage(
      messages,
      { sub: userId },
      { query: shape.query, filter, orderBy: shape.byRelevance ? 'RELEVANCE' : 'NEWEST' },
    );
    return page.hits.map((hit) => [hit.highlights(), hit.snippet()]);
  },
  ilike: (asked) => database.asUser({ sub: asked.userId }, (db) => [db.execute(pageOf(asked))]),
  limit(asked) {
    const { sql: statement, params } = new PgDialect().sqlToQuery(pageOf(asked));
    return owner.unsafe(statement, params as string[], { prepare: true });
  },
};

serve<SearchLoad>({
  connect({ ownerUrl }) {
    url = ownerUrl;
    // A search without an index may take longer than the product would wait.
    const timeoutMs = 60_000;
    messages = createMessageStore(createDatabase({ url: ownerUrl, timeoutMs }));
    const planned = new URL(ownerUrl);
    planned.searchParams.set('plan_cache_mode', 'force_custom_plan');
    database = createDatabase({ url: planned.href, timeoutMs });
    owner = postgres(ownerUrl, {
      max: 1,
      fetch_types: false,
      onnotice: () => {},
      // Where the extensions are, by whoever made them.
      connection: { plan_cache_mode: 'force_custom_plan', search_path: 'public, extensions' },
    } as postgres.Options<Record<string, never>>);
  },

  async search({ atMost, seconds, ...given }) {
    const latencies: number[] = [];
    const until = performance.now() + seconds * 1_000;
    do {
      const began = performance.now();
      await searches[given.as](given);
      latencies.push(performance.now() - began);
    } while (latencies.length <= atMost && performance.now() < until);
    // The first one finds nothing ready.
    if (latencies.length > 1) latencies.shift();
    latencies.sort((a, b) => a - b);
    return { p50: percentile(latencies, 0.5), p95: percentile(latencies, 0.95) };
  },

  async count({ userId, ...given }) {
    const matching = matches({ ...given, as: 'ilike' });
    const [rows] = await database.asUser({ sub: userId }, (db) => [
      db.execute<{ n: number }>(sql`
        select count(*)::int as n from chat_history where user_id = ${userId}::uuid and ${matching}`),
    ]);
    return rows[0]?.n ?? 0;
  },

  async ask({ url, userId, shape, cached, times }) {
    const client = await openHttp(url);
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      authorization: `Bearer ${await tokenOf(userId, JWT_SECRET)}`,
    };
    const latencies: number[] = [];
    // The first answer finds nothing ready.
    for (let i = 0; i <= times; i += 1) {
      // From before all messages: the same hits, and another page to a cache.
      if (!cached) asked += 1;
      const filter = { from: new Date(asked).toISOString() };
      const body = JSON.stringify({ query: SEARCH, variables: { query: shape.query, filter } });
      const request = requestOf(url, headers, body);
      const began = performance.now();
      const answer = await client.ask(request);
      if (i > 0) latencies.push(performance.now() - began);
      const isHit = /cache-status: chatkeep; hit/i.test(answer.head);
      if (answer.body.includes('"errors"') || (i > 0 && isHit !== cached)) {
        throw new Error(`It answered ${answer.head}${answer.body.toString().slice(0, 500)}`);
      }
    }
    client.close();
    latencies.sort((a, b) => a - b);
    return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
  },

  async insert({ userIds, times }) {
    const latencies: number[] = [];
    const wal = async () =>
      Number((await owner`select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as at`)[0]?.['at']);
    // What is measured is the work, not the disk.
    await owner`set synchronous_commit = off`;
    const before = await wal();
    for (let i = 0; i < times; i += 1) {
      const { message, response } = exchangeOf(inserted++);
      const userId = userIds[i % userIds.length] as string;
      const began = performance.now();
      await owner`
        insert into chat_history (user_id, message, response) values (${userId}, ${message}, ${response})`;
      latencies.push(performance.now() - began);
    }
    const after = await wal();
    const mean = latencies.reduce((sum, ms) => sum + ms) / times;
    latencies.sort((a, b) => a - b);
    return { mean, p99: percentile(latencies, 0.99), walBytes: (after - before) / times };
  },

  write({ userIds, aSecond }) {
    const sql = postgres(url, { max: 20, onnotice: () => {} });
    const pending = new Set<Promise<unknown>>();
    const latencies: number[] = [];
    const timer = setInterval(() => {
      const { message, response } = exchangeOf(inserted++);
      const userId = userIds[inserted % userIds.length] as string;
      const began = performance.now();
      const stored = sql`
        insert into chat_history (user_id, message, response) values (${userId}, ${message}, ${response})`.then(
        () => latencies.push(performance.now() - began),
      );
      pending.add(stored);
      stored.finally(() => pending.delete(stored));
    }, 1_000 / aSecond);
    rest = async () => {
      clearInterval(timer);
      await Promise.all(pending);
      await sql.end();
      return { times: latencies.length, longest: Math.max(...latencies) };
    };
  },

  rest: () => rest(),
});
