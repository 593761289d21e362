import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import type { Logger } from '../log.ts';
import { poolerOptions } from './pooler.ts';

/*
 * What search needs beyond its migration: the text that is searched, filled in for what was stored before,
 * and the indexes. On a large table both take minutes, in which nobody may wait: so the text goes in piece by
 * piece, the indexes are built CONCURRENTLY, and chatkeep.search() finds the same without them.
 */

/** Not the migrations' own: who waits for that one would be waited for by CREATE INDEX CONCURRENTLY. */
const LOCK = 0x63686173;

/** Up to this size all is done at once, before the start. */
const SMALL_BYTES = 1_000_000;

const BLOCKS_A_PIECE = 128;

/** How long another process is left to do it, and how long nothing is tried after a failure. */
const RETRY_MS = 10_000;

const INDEXES = (trgm: string): Readonly<Record<string, string>> => ({
  idx_chat_history_unfolded: '(user_id) where search_text is null',
  idx_chat_history_search: `using gin (user_id, chatkeep.latin(search_text) ${trgm}.gin_trgm_ops,
    chatkeep.sign_keys(search_text)) where search_text is not null`,
});

/** Fills and indexes a table that is small, in a moment; leaves a larger one to `createSearchBuilder`. */
export async function buildSmallSearch(sql: postgres.Sql): Promise<void> {
  const [table] = await sql<{ size: string }[]>`
    select pg_table_size('public.chat_history') as size`;
  if (Number(table?.size) > SMALL_BYTES || (await isComplete(sql))) return;
  await fill(sql, new AbortController().signal);
  await buildIndexes(sql, { concurrently: false });
}

export interface SearchBuilder {
  /** Leaves off where it is; the next start goes on from there. */
  stop(): Promise<void>;
}

/** Brings search up to its speed while the server works; by one process, if there are several. */
export function createSearchBuilder(ownerUrl: string, log: Logger): SearchBuilder {
  const stopping = new AbortController();
  const { signal } = stopping;
  let connection: postgres.Sql | undefined;

  /** False while another process is at it. */
  async function build(sql: postgres.Sql): Promise<boolean> {
    if (await isComplete(sql)) return true;
    const [lock] = await sql<{ got: boolean }[]>`select pg_try_advisory_lock(${LOCK}) as got`;
    if (!lock?.got) return false;
    log.info('Search: filling and indexing the messages that are there; until then it is slower.');
    await sql`set statement_timeout = 0`;
    await fill(sql, signal);
    if (signal.aborted) return true;
    await buildIndexes(sql, { concurrently: true });
    log.info('Search: done.');
    return true;
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      connection = postgres(poolerOptions(ownerUrl).url, {
        max: 1,
        // Cut off by `stop`, it would reject to nobody: postgres.js does not wait for it.
        fetch_types: false,
        onnotice: () => {},
      });
      try {
        if (await build(connection)) return;
      } catch (error) {
        // Not the error itself: what PostgreSQL says of a failure can hold what a user wrote.
        const { code, routine } = error as { code?: string; routine?: string };
        if (!signal.aborted) {
          log.warn({ code, routine }, 'Search: could not be indexed yet; trying again.');
        }
      } finally {
        await connection.end({ timeout: 0 });
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }

  const running = run();
  return {
    async stop() {
      stopping.abort();
      await connection?.end({ timeout: 0 });
      await running;
    },
  };
}

async function isComplete(sql: postgres.Sql): Promise<boolean> {
  const [indexes] = await sql<{ valid: number }[]>`
    select count(*)::int as valid from pg_index
    where indisvalid and indexrelid in (
      to_regclass('public.idx_chat_history_search'), to_regclass('public.idx_chat_history_unfolded'))`;
  if (indexes?.valid !== 2) return false;
  const [text] = await sql<{ filled: boolean }[]>`select chatkeep.is_filled() as filled`;
  return text?.filled === true;
}

/** Each piece is a transaction, and after each the users have as long for themselves. */
async function fill(sql: postgres.Sql, signal: AbortSignal): Promise<void> {
  const [table] = await sql<{ blocks: number }[]>`
    select (pg_relation_size('public.chat_history') / current_setting('block_size')::int)::int as blocks`;
  const end = (table?.blocks ?? 0) + 1;
  for (let block = 0; block < end && !signal.aborted; block += BLOCKS_A_PIECE) {
    const began = performance.now();
    await sql`select chatkeep.fill_search(${block}, ${block + BLOCKS_A_PIECE})`;
    if (end > BLOCKS_A_PIECE) {
      await sleep(performance.now() - began, undefined, { signal }).catch(() => {});
    }
  }
}

async function buildIndexes(
  sql: postgres.Sql,
  { concurrently }: { concurrently: boolean },
): Promise<void> {
  const how = concurrently ? 'concurrently' : '';
  const [extension] = await sql<{ home: string }[]>`
    select extnamespace::regnamespace::text as home from pg_extension where extname = 'pg_trgm'`;
  for (const [name, definition] of Object.entries(INDEXES(extension?.home ?? 'public'))) {
    const [index] = await sql<{ valid: boolean }[]>`
      select indisvalid as valid from pg_index where indexrelid = to_regclass(${`public.${name}`})`;
    // What a build leaves behind that was cut off.
    if (index?.valid === false) await sql.unsafe(`drop index ${how} public.${name}`);
    if (!index?.valid) {
      await sql.unsafe(`create index ${how} ${name} on public.chat_history ${definition}`);
    }
  }
  // For the planner, which would know nothing of an index on expressions.
  await sql`analyze chat_history`;
}
