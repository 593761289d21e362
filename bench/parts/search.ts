import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { createSearchBuilder } from '../../src/db/search-index.ts';
import { createLog } from '../../src/log.ts';
import { startRedis } from '../../test/kit/redis.ts';
import type { Bench, Report, Target } from '../kit/bench.ts';
import { builtFile, installContestants } from '../kit/build.ts';
import type { Contestant } from '../kit/contestant.ts';
import { type Database, startDatabase } from '../kit/database.ts';
import { createFigures } from '../kit/figures.ts';
import { type Histories, storeHistories } from '../kit/histories.ts';
import { type Remote, startRemote } from '../kit/remote.ts';
import { linesOf, short } from '../kit/report.ts';
import { SHAPES, type Shape } from '../kit/shapes.ts';
import { JWT_SECRET } from '../kit/tokens.ts';
import type { Inserts, Searcher, SearchLoad } from '../load/search.ts';

const CONTESTANTS: Readonly<Record<Searcher, string>> = {
  limit:
    'the same table by its owner, without row level security: ILIKE on a trigram index of user and text (pg_trgm, btree_gin).',
  chatkeep:
    "the product's own search, from the query's text to rows with highlights, as that user under row level security; nothing is cached.",
  ilike:
    'ILIKE on both columns, as that user under row level security, without any index of texts.',
};

/** With it came what searches; until then ILIKE has nothing to lean on. */
const MIGRATION = '0008';

const USERS = ['heavy', 'light'] as const;
type User = (typeof USERS)[number];

/** How often each shape is searched for in a round. */
const TIMES = 30;
const ILIKE_ROUNDS = 2;
/** From so many ms on, ILIKE is taken to have scanned the history. */
const SCANS_MS = 100;
const AHEAD_OF_SCANS = 20;
const BESIDE_LIMIT = 2;
/** What is asked for over HTTP, and how often in a round. */
const OVER_HTTP = 'common word';
const ASKED = { 'not cached': 100, 'from the cache': 1_000 };
const INSERTS = 2_000;
const WRITES_A_SECOND = 50;
const MONTH_MS = 30 * 24 * 60 * 60 * 1_000;

const figureOf = (shape: Shape, user: User) => `${shape.name}, ${user} user`;

const TARGETS: Readonly<Record<string, Target>> = Object.fromEntries([
  ...SHAPES.flatMap((shape) =>
    USERS.map((user) => [`${figureOf(shape, user)}: p95`, { value: shape.within }]),
  ),
  ...USERS.map((user) => [`over HTTP, from the cache, ${user} user: p99`, { value: 10 }]),
]);

/** What finding something costs among a million messages, beside SQL as one would write it. */
export async function search(bench: Bench): Promise<Report> {
  await installContestants(bench.progress);
  const trial = await Trial.prepare(bench);
  await trial.searches(['ilike'], Math.min(ILIKE_ROUNDS, bench.rounds));
  await trial.inserts('ilike');
  await trial.migrate();
  await trial.inserts('chatkeep');
  await trial.indexLimit();
  await trial.searches(['limit', 'chatkeep'], bench.rounds);
  await trial.overHttp();
  const report: Report = {
    title: `Search among ${bench.messages.toLocaleString('en')} messages; a heavy user has a tenth of them, each light one 300`,
    contestants: CONTESTANTS,
    figures: trial.figures.all(),
    notes: [],
  };
  return { ...report, notes: [...(await trial.notes()), ...promises(report)] };
}

class Trial {
  readonly figures = createFigures(TARGETS);
  readonly #inserts: Partial<Record<Searcher, Inserts>> = {};
  readonly #bench: Bench;
  readonly #database: Database;
  readonly #histories: Histories;
  readonly #load: Remote<SearchLoad>;

  static async prepare(bench: Bench): Promise<Trial> {
    bench.progress('starting PostgreSQL');
    const database = await startDatabase({ before: MIGRATION });
    bench.onStop(database.stop);
    bench.progress(`storing ${bench.messages.toLocaleString('en')} messages`);
    const histories = await storeHistories(database.ownerUrl, bench.messages);
    const load = startRemote<SearchLoad>(builtFile('load/search'));
    bench.onStop(() => load.stop());
    await load.ask('connect', { ownerUrl: database.ownerUrl });
    return new Trial(bench, database, histories, load);
  }

  private constructor(
    bench: Bench,
    database: Database,
    histories: Histories,
    load: Remote<SearchLoad>,
  ) {
    this.#bench = bench;
    this.#database = database;
    this.#histories = histories;
    this.#load = load;
  }

  #asked(shape: Shape, user: User) {
    const { heavy, light, from, to } = this.#histories;
    const middle = (from.getTime() + to.getTime()) / 2;
    const month = {
      from: new Date(middle).toISOString(),
      to: new Date(middle + MONTH_MS).toISOString(),
    };
    const userId = user === 'heavy' ? heavy : (light[Math.floor(light.length / 2)] as string);
    return { shape, userId, month };
  }

  /** Each shape by all in turn: a noisy moment is nobody's alone. */
  async searches(searchers: readonly Searcher[], rounds: number): Promise<void> {
    const { seconds } = this.#bench;
    for (let round = 1; round <= rounds; round += 1) {
      for (const shape of SHAPES) {
        for (const user of USERS) {
          const name = figureOf(shape, user);
          for (const as of searchers) {
            this.#bench.progress(`${as}, round ${round} of ${rounds}: ${name}`);
            const given = { as, ...this.#asked(shape, user), atMost: TIMES, seconds };
            const { p50, p95 } = await this.#load.ask('search', given);
            this.figures.add(`${name}: p50`, 'ms', as, p50);
            this.figures.add(`${name}: p95`, 'ms', as, p95);
          }
        }
      }
    }
  }

  /** As clients ask: a token is checked, GraphQL executed, and what was answered is kept. */
  async overHttp(): Promise<void> {
    const redis = await startRedis();
    this.#bench.onStop(redis.stop);
    const server = startRemote<Contestant>(builtFile('contestants/chatkeep'), ['--expose-gc']);
    this.#bench.onStop(() => server.stop());
    const { ownerUrl, url: databaseUrl, dataDir } = this.#database;
    const database = { ownerUrl, url: databaseUrl };
    const settings = { redisUrl: redis.url, database, jwtSecret: JWT_SECRET, dataDir };
    const url = (await server.ask('start', settings)).replace('ws://', 'http://');
    const shape = SHAPES.find(({ name }) => name === OVER_HTTP) as Shape;
    for (let round = 1; round <= this.#bench.rounds; round += 1) {
      for (const user of USERS) {
        for (const [name, cached] of [
          ['not cached', false],
          ['from the cache', true],
        ] as const) {
          this.#bench.progress(`over HTTP, round ${round} of ${this.#bench.rounds}: ${name}`);
          const { userId } = this.#asked(shape, user);
          const given = { url, userId, shape, cached, times: ASKED[name] };
          const { p50, p99 } = await this.#load.ask('ask', given);
          this.figures.add(`over HTTP, ${name}, ${user} user: p50`, 'ms', 'chatkeep', p50);
          this.figures.add(`over HTTP, ${name}, ${user} user: p99`, 'ms', 'chatkeep', p99);
        }
      }
    }
  }

  async inserts(as: Searcher): Promise<void> {
    this.#bench.progress(`${as}: storing one by one`);
    const given = { userIds: this.#histories.light, times: INSERTS };
    const found = await this.#load.ask('insert', given);
    this.#inserts[as] = found;
    this.figures.add('an insert: mean', 'ms', as, found.mean);
    this.figures.add('an insert: p99', 'ms', as, found.p99);
    this.figures.add("an insert: PostgreSQL's log", 'bytes', as, found.walBytes);
  }

  /** On a full table, while people write: the migration, then what the server does after its start. */
  async migrate(): Promise<void> {
    const before = await this.#indexBytes();
    this.#bench.progress('migrating, while messages come in');
    await this.#beside('the migration', () => this.#database.migrate());
    this.#bench.progress('filling and indexing, while messages come in');
    await this.#beside('filling and indexing after the start', async () => {
      const builder = createSearchBuilder(this.#database.ownerUrl, createLog('warn'));
      this.#bench.onStop(() => builder.stop());
      while (!(await this.#isIndexed())) await sleep(500);
      await builder.stop();
    });
    const after = await this.#indexBytes();
    this.figures.add('index of texts', 'MB', 'chatkeep', (after - before) / 1e6);
  }

  /** How long it takes, and how long an insert has to wait for it. */
  async #beside(what: string, run: () => Promise<void>): Promise<void> {
    const { light } = this.#histories;
    await this.#load.ask('write', { userIds: light, aSecond: WRITES_A_SECOND });
    const began = performance.now();
    await run();
    const seconds = (performance.now() - began) / 1_000;
    const { times, longest } = await this.#load.ask('rest');
    this.figures.add(what, 's', 'chatkeep', seconds);
    // A migration may be over before anybody has written.
    const longestOf = times > 0 ? longest : 0;
    this.figures.add(`${what}: the longest insert beside it`, 'ms', 'chatkeep', longestOf);
  }

  async #isIndexed(): Promise<boolean> {
    const [row] = await this.#sql<{ is: boolean }[]>(
      (sql) => sql`
        select chatkeep.is_filled() and exists (select from pg_index
          where indisvalid and indexrelid = to_regclass('public.idx_chat_history_search')) as is`,
    );
    return row?.is ?? false;
  }

  /** The fastest that pg_trgm has for a user's own rows. */
  async indexLimit(): Promise<void> {
    this.#bench.progress("building the limit's index");
    const before = await this.#indexBytes();
    await this.#sql(async (sql) => {
      await sql`set search_path = public, extensions`;
      await sql`create extension if not exists pg_trgm`;
      await sql`create extension if not exists btree_gin`;
      await sql`set maintenance_work_mem = '512MB'`;
      await sql`
        create index idx_bench_limit on chat_history
        using gin (user_id, (message || E'\n' || response) gin_trgm_ops)`;
      await sql`vacuum analyze chat_history`;
    });
    const after = await this.#indexBytes();
    this.figures.add('index of texts', 'MB', 'limit', (after - before) / 1e6);
  }

  async notes(): Promise<string[]> {
    const found: string[] = [];
    for (const shape of SHAPES.filter(({ near }) => !near)) {
      this.#bench.progress(`counting: ${shape.name}`);
      const [heavy, light] = [
        await this.#load.ask('count', this.#asked(shape, 'heavy')),
        await this.#load.ask('count', this.#asked(shape, 'light')),
      ];
      found.push(`${shape.name} (${shape.query}) ${heavy.toLocaleString('en')} / ${light}`);
    }
    const { ilike, chatkeep } = this.#inserts;
    const price = (chatkeep?.mean ?? Number.NaN) / (ilike?.mean ?? Number.NaN);
    return [
      `What ILIKE finds for the heavy and the light user: ${found.join('; ')}.`,
      'All of it is in memory. The first of a round is left out.',
      `An insert costs ${price.toFixed(2)} times what it costs without an index of texts. One row a statement, synchronous_commit off: the work, not the disk.`,
      `The migration, and the filling of the table and its index after the start, ran beside ${WRITES_A_SECOND} inserts a second.`,
    ];
  }

  async #indexBytes(): Promise<number> {
    const [row] = await this.#sql<{ bytes: number }[]>(
      (sql) => sql`select pg_indexes_size('chat_history')::float8 as bytes`,
    );
    return row?.bytes ?? Number.NaN;
  }

  async #sql<T>(run: (sql: postgres.Sql) => PromiseLike<T>): Promise<T> {
    const sql = postgres(this.#database.ownerUrl, { max: 1, onnotice: () => {} });
    try {
      return await run(sql);
    } finally {
      await sql.end();
    }
  }
}

/** The promises beside the limit, and beside ILIKE where that scans. */
function promises(report: Report): string[] {
  const lines = linesOf(report).filter(({ name }) => name.endsWith('user: p95'));
  const judged = (what: string, ratios: readonly (readonly [string, number, boolean])[]) => {
    const missed = ratios.filter(([, , kept]) => !kept);
    const words = missed.map(([name, ratio]) => `${name} ${short(ratio)}`).join('; ');
    const all = `${ratios.length - missed.length} of ${ratios.length} kept`;
    return `${what}: ${all}${words && `; MISSED: ${words}`}.`;
  };
  const beside = lines.flatMap(({ name, cells }) => {
    const { chatkeep } = cells;
    return chatkeep ? [[name, chatkeep.ratio, chatkeep.ratio <= BESIDE_LIMIT] as const] : [];
  });
  const scans = lines.flatMap(({ name, cells: { chatkeep, ilike } }) => {
    if (!chatkeep || !ilike || ilike.median < SCANS_MS) return [];
    const ratio = ilike.median / chatkeep.median;
    return [[name, ratio, ratio >= AHEAD_OF_SCANS] as const];
  });
  return [
    judged(`At most ${BESIDE_LIMIT} times the limit's p95`, beside),
    judged(`At least ${AHEAD_OF_SCANS} times faster than ILIKE where that scans`, scans),
  ];
}
