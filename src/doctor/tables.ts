import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import * as schema from '../db/schema.ts';
import type { Looker } from './connection.ts';
import { type Finding, fault, look, ok } from './finding.ts';

/** Every process looks for them every ten seconds. */
const OVERDUE_S = 60;

/** What the code leans on, by the names it has there. */
function expected() {
  const tables = Object.values(schema)
    .filter((value) => value instanceof PgTable)
    .map((table) => getTableConfig(table))
    .filter((table) => table.schema === undefined);
  const indexes = tables.flatMap((table) =>
    table.indexes.flatMap(({ config }) => config.name ?? []),
  );
  return { tables: tables.map(({ name }) => name), indexes };
}

interface Structure {
  readonly missing: readonly string[];
  readonly invalid: readonly string[];
  /** Whether changes are numbered. */
  readonly numbered: boolean;
}

export async function structureFindings(sql: Looker): Promise<Finding[]> {
  const { tables, indexes } = expected();
  const [row] = await sql.read<Structure>(
    (sql) => sql`
    with ours as (
      select c.oid, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public'
    )
    select
      array(select wanted from unnest(${[...tables, ...indexes]}::text[]) wanted
        where wanted not in (select relname from ours) order by 1) as missing,
      array(select ours.relname::text from pg_index i join ours on ours.oid = i.indexrelid
        where i.indrelid in (select oid from ours where relname = any(${tables}::text[]))
          and not i.indisvalid order by 1) as invalid,
      exists (select from pg_trigger t join ours on ours.oid = t.tgrelid
        where ours.relname = 'chat_history' and t.tgname = 'number_change'
          and t.tgenabled in ('O', 'A')) as numbered`,
  );
  const { missing = [], invalid = [], numbered = false } = row ?? {};
  const findings: Finding[] = [];
  if (missing.length > 0) {
    const advice = 'Restore them, or make them again as in drizzle/.';
    findings.push(fault('tables', `missing: ${missing.join(', ')}`, advice));
  } else {
    const value = `all ${tables.length}, and ${indexes.length} indexes`;
    findings.push(ok('tables', value));
  }
  if (invalid.length > 0) {
    const advice = `They help nobody: reindex index concurrently ${invalid[0]};`;
    findings.push(look('indexes', `not valid: ${invalid.join(', ')}`, advice));
  }
  if (!numbered) {
    const advice = 'Caches and devices go by the numbers: enable or restore number_change at once.';
    findings.push(fault('numbering', 'the trigger of chat_history does not fire', advice));
  }
  return findings;
}

/** Replies whose process died and that no other process ended. Seen as who sweeps them sees them. */
export async function leasesFinding(sql: Looker): Promise<Finding> {
  const [row] = await sql.read<{ overdue: number }>(
    (sql) => sql`select count(*)::int as overdue from chat_reply_leases
      where expires_at < clock_timestamp() - ${OVERDUE_S} * interval '1 second'`,
    'chatkeep_worker',
  );
  const overdue = row?.overdue ?? 0;
  if (overdue === 0) return ok('abandoned replies', 'none');
  return look(
    'abandoned replies',
    `${overdue}, for more than a minute`,
    'A running chatkeep ends them within seconds: start one, or read its log.',
  );
}

export async function sizeFinding(sql: Looker): Promise<Finding> {
  const [row] = await sql.read<{ whole: string; history: string; rows: number }>(
    (sql) => sql`select pg_size_pretty(pg_database_size(current_database())) as whole,
        pg_size_pretty(pg_total_relation_size(c.oid)) as history,
        greatest(c.reltuples, 0)::float8 as rows
      from pg_class c where c.oid = 'public.chat_history'::regclass`,
  );
  const { whole = '', history = '', rows = 0 } = row ?? {};
  return ok('size', `${whole}, of which chat_history ${history} in about ${rows} rows`);
}
