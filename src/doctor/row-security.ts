import type { Looker } from './connection.ts';
import { type Finding, fault, ok } from './finding.ts';

const SUBJECT = 'row level security';

/** Whether PostgreSQL itself keeps users apart, on every table of ours and for the owner too. */
export async function rowSecurityFinding(sql: Looker): Promise<Finding> {
  const tables = await sql.read<{ name: string; forced: boolean; lacks: readonly string[] }>(
    (sql) => sql`
    select c.relname::text as name, c.relrowsecurity and c.relforcerowsecurity as forced,
      array(select wanted from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) wanted
        where not exists (select from pg_policies p where p.schemaname = 'public'
          and p.tablename = c.relname and p.cmd in (wanted, 'ALL')
          and 'authenticated' = any(p.roles))) as lacks
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relname like 'chat\\_%' and c.relkind in ('r', 'p')
    order by 1`,
  );
  const gaps = tables.flatMap(({ name, forced, lacks }) => [
    ...(forced ? [] : [`not forced on ${name}`]),
    ...(lacks.length > 0 ? [`${name} lacks a policy for ${lacks.join(', ')}`] : []),
  ]);
  if (gaps.length === 0) return ok(SUBJECT, `forced on all ${tables.length} tables`);
  const advice =
    'Users may see what is not theirs: stop chatkeep, and restore it as the migrations made it.';
  return fault(SUBJECT, gaps.join('; '), advice);
}
