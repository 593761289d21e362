import type { Looker } from './connection.ts';
import { type Finding, fault, look, ok } from './finding.ts';

/** What drizzle/0008_search.sql creates where it is not there. */
const EXTENSIONS = ['pg_trgm', 'btree_gin'];
/** What src/db/search-index.ts builds while the server works. */
const INDEXES = ['idx_chat_history_unfolded', 'idx_chat_history_search'];

/** @param isComplete no migration is pending: what is missing stays missing */
export async function extensionsFinding(sql: Looker, isComplete: boolean): Promise<Finding> {
  const [row] = await sql.read<{ missing: string[]; unavailable: string[] }>(
    (sql) => sql`
    with missing as (
      select name from unnest(${EXTENSIONS}::text[]) name
      where name not in (select extname from pg_extension)
    )
    select array(select name from missing) as missing,
      array(select name from missing
        where name not in (select name from pg_available_extensions)) as unavailable`,
  );
  const { missing = [], unavailable = [] } = row ?? {};
  const subject = 'extensions';
  if (unavailable.length > 0) {
    const advice = "Search needs them: install PostgreSQL's contrib modules on its machine.";
    return fault(subject, `not installed: ${unavailable.join(', ')}`, advice);
  }
  if (missing.length === 0) return ok(subject, EXTENSIONS.join(', '));
  if (!isComplete) return ok(subject, `${missing.join(', ')}: the next start creates them`);
  const advice = `Searches fail: let an administrator run create extension ${missing[0]};`;
  return fault(subject, `missing: ${missing.join(', ')}`, advice);
}

export async function searchFinding(sql: Looker): Promise<Finding> {
  const [row] = await sql.read<{ valid: number }>(
    (sql) => sql`select count(*)::int as valid from pg_index i
      join pg_class c on c.oid = i.indexrelid
      where i.indisvalid and i.indrelid = to_regclass('public.chat_history')
        and c.relname = any(${INDEXES}::text[])`,
  );
  if (row?.valid === INDEXES.length) return ok('search', 'indexed');
  return look(
    'search',
    'not indexed yet',
    'It finds the same, slower, until a running chatkeep has built its index: start one, or read its log.',
  );
}
