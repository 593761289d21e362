import { getTableName, is } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import type postgres from 'postgres';
import * as schema from './schema.ts';

const tableNames = Object.values(schema)
  .filter((exported) => is(exported, PgTable))
  .map(getTableName);

/**
 * Looks in PostgreSQL's catalogues for what could let one user's rows out to another: row level security
 * that is off or not forced, a policy that is missing or that lets through more than a user's own rows, a
 * right that goes round them, a view or a function with its owner's rights. Answers one sentence for each
 * thing that is not as it should be; none when all is well. Changes nothing, and may be asked as any role.
 * What the login role may do by itself is not in it: for that the doctor has words of its own.
 *
 * Only what is ours is looked at, since other people's tables may stand in the same database: all that is in
 * the schema `chatkeep`, the tables of `schema.ts` in `public` with their partitions, and every view that
 * reads them. `auth.users` is ours where the owner of our tables made it; Supabase's has an owner of its own.
 */
export async function auditDatabase(tx: postgres.TransactionSql): Promise<readonly string[]> {
  // Names come out in full then.
  await tx`set local search_path = ''`;
  const findings = await tx<{ finding: string }[]>`
    with recursive ours as (${ourTables(tx)}),
    grants as (
      select c.oid, c.relname, c.relowner, acl.grantee, acl.privilege_type as privilege
      from pg_class c join ours using (oid),
        aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) acl
      union
      select c.oid, c.relname, c.relowner, acl.grantee, acl.privilege_type
      from pg_class c join ours using (oid) join pg_attribute a on a.attrelid = c.oid,
        aclexplode(a.attacl) acl
    ),
    -- Whom row level security binds: all but the owner (FORCE binds it too), superusers and who may
    -- bypass it, such as Supabase's service_role.
    bound as (
      select g.oid, g.privilege, coalesce(r.rolname, 'PUBLIC') as role, g.grantee
      from grants g left join pg_roles r on r.oid = g.grantee
      where g.grantee <> g.relowner and not coalesce(r.rolsuper or r.rolbypassrls, false)
    ),
    functions as (
      select p.*, p.oid::regprocedure::text as signature,
        exists (select from unnest(p.proconfig) setting where setting like 'search_path=%') as fixed
      from pg_proc p where p.pronamespace = to_regnamespace('chatkeep')
    ),
    findings (finding) as (
      select format('Row level security is off on %s.', oid::regclass)
      from pg_class join ours using (oid) where relkind <> 'S' and not relrowsecurity

      union all
      select format('Row level security is not forced on %s: its owner goes round it.', oid::regclass)
      from pg_class join ours using (oid)
      where relkind <> 'S' and relrowsecurity and not relforcerowsecurity

      union all
      select format('%s is a foreign table: row level security does not reach it.', oid::regclass)
      from pg_class join ours using (oid) where relkind = 'f'

      union all
      select format('%s may %s %s, but no policy says which rows.', b.role, b.privilege, b.oid::regclass)
      from bound b
      join (values ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd'))
        as command (privilege, letter) using (privilege)
      where not exists (
        select from pg_policy p
        where p.polrelid = b.oid and p.polpermissive and p.polcmd in (command.letter, '*')
          and p.polroles && array[0, b.grantee]
      )

      union all
      -- The exceptions: the worker sees every lease, and no text; a search sees every text, and only the
      -- functions below act as it.
      select format('The policy "%s" on %s lets through more than a user''s own rows: %s.',
        p.polname, p.polrelid::regclass, condition)
      from pg_policy p join ours on ours.oid = p.polrelid,
        unnest(array[pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)]) condition
      where p.polpermissive
        and condition <> format('(( SELECT auth.uid() AS uid) = %s)',
          case p.polrelid::regclass::text when 'auth.users' then 'id' else 'user_id' end)
        and not (p.polrelid::regclass::text = 'public.chat_reply_leases'
          and p.polroles = array[to_regrole('chatkeep_worker')::oid])
        and not (p.polrelid::regclass::text = 'public.chat_history' and p.polcmd in ('r', 'w')
          and p.polroles = array[to_regrole('chatkeep_search')::oid])

      union all
      select format('%s may %s %s, where no policy holds.', role, privilege, oid::regclass)
      from bound where privilege not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE') and role <> 'PUBLIC'

      union all
      select format('%s may %s %s without having signed in.', role, privilege, oid::regclass)
      from bound where role in ('PUBLIC', 'anon')

      union all
      select format('chatkeep_worker may %s %s; it needs nothing but the leases.', privilege, oid::regclass)
      from bound
      where role = 'chatkeep_worker'
        and not (oid::regclass::text = 'public.chat_reply_leases' and privilege in ('SELECT', 'UPDATE'))

      union all
      select format('chatkeep_search may %s %s; it needs to see messages and to fill in what is searched.',
        privilege, oid::regclass)
      from bound
      where role = 'chatkeep_search' and not (oid::regclass::text = 'public.chat_history'
        and (privilege = 'SELECT' or privilege = 'UPDATE' and not has_table_privilege(grantee, oid, 'UPDATE')))

      union all
      select format('%s may update more of %s than what is searched.', 'chatkeep_search', a.attrelid::regclass)
      from pg_attribute a cross join aclexplode(a.attacl) acl
      where acl.grantee = to_regrole('chatkeep_search') and acl.privilege_type = 'UPDATE'
        and a.attname <> 'search_text'

      union all
      -- It sees the messages of everybody: what acts as it is known, and asks auth.uid() or is not for users.
      select format('The function %s acts as chatkeep_search.', signature)
      from functions where proowner = to_regrole('chatkeep_search')
        and proname not in ('search', 'fill_search', 'is_filled')

      union all
      select format('%s may execute the function %s, which is not for users.', r.rolname, f.signature)
      from functions f cross join aclexplode(f.proacl) acl join pg_roles r on r.oid = acl.grantee
      where f.proname in ('fill_search', 'is_filled') and r.rolname in ('authenticated', 'chatkeep_worker')

      union all
      select distinct format('%s may act as chatkeep_search.', m.member::regrole)
      from pg_auth_members m join pg_roles r on r.oid = m.member
      where m.roleid = to_regrole('chatkeep_search') and not r.rolsuper
        and pg_has_role(m.member, m.roleid, 'usage')

      union all
      select distinct format(case v.relkind
          when 'm' then 'The materialized view %s keeps rows of everybody, without row level security.'
          else 'The view %s reads with its owner''s rights: make it security_invoker.' end, v.oid::regclass)
      from pg_class v
      left join pg_rewrite r on r.ev_class = v.oid
      left join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_class'::regclass
      where (d.refobjid in (select oid from ours) or v.relnamespace = to_regnamespace('chatkeep'))
        and (v.relkind = 'm' or v.relkind = 'v' and not exists (
          select from pg_options_to_table(v.reloptions)
          where option_name = 'security_invoker' and option_value in ('true', 'on', '1', 'yes')))

      union all
      select format('The function %s has its owner''s rights and no fixed search_path.', signature)
      from functions where prosecdef and not fixed

      union all
      -- One in SQL that changes nothing is written into the query that calls it: with a setting it is not.
      select format('The function %s has no fixed search_path.', signature)
      from functions
      where not prosecdef and not fixed
        and not (provolatile <> 'v' and prolang = (select oid from pg_language where lanname = 'sql'))

      union all
      select format('%s may execute the function %s.', coalesce(r.rolname, 'PUBLIC'), f.signature)
      from functions f cross join aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) acl
      left join pg_roles r on r.oid = acl.grantee
      where acl.grantee = 0 or r.rolname = 'anon'

      union all
      select format('The function %s is LEAKPROOF: it is called before row level security.', signature)
      from functions where proleakproof

      union all
      select format('%s may %s in the schema %s.', coalesce(r.rolname, 'PUBLIC'), acl.privilege_type, n.nspname)
      from pg_namespace n cross join aclexplode(n.nspacl) acl
      left join pg_roles r on r.oid = acl.grantee
      where (n.nspname = 'chatkeep' or n.nspname = 'public' and acl.privilege_type = 'CREATE')
        and (acl.grantee = 0
          or r.rolname in ('anon', 'authenticated', 'chatkeep_worker', 'chatkeep_search'))
        and not (acl.privilege_type = 'USAGE' and acl.grantee <> 0 and r.rolname <> 'anon')

      union all
      select format('The role %s goes round row level security.', rolname)
      from pg_roles
      where rolname in ('authenticated', 'chatkeep_worker', 'chatkeep_search') and (rolsuper or rolbypassrls)

      union all
      select format('The role %s owns %s.', relowner::regrole, oid::regclass)
      from pg_class join ours using (oid)
      where relowner in
        (to_regrole('authenticated'), to_regrole('chatkeep_worker'), to_regrole('chatkeep_search'))
    )
    select finding from findings order by finding`;
  return findings.map(({ finding }) => finding);
}

/** A recursive query's body: the oid of each table and sequence that is ours, partitions included. */
function ourTables(tx: postgres.TransactionSql) {
  // The login role has no right to look up names in the schema auth.
  return tx`
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f', 'S') and (
      nspname = 'chatkeep'
      or nspname = 'public' and relname = any(string_to_array(${tableNames.join()}, ','))
      or nspname = 'auth' and relname = 'users' and relowner = (
        select relowner from pg_class
        where relname = 'chat_history' and relnamespace = 'public'::regnamespace))
    union
    select inhrelid from pg_inherits join ours on ours.oid = inhparent`;
}
