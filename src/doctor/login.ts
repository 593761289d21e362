import type { Looker } from './connection.ts';
import { type Finding, fault, look, ok } from './finding.ts';

interface Role {
  readonly name: string;
  readonly superuser: boolean;
  readonly bypasses: boolean;
  readonly makes_roles: boolean;
  readonly replicates: boolean;
  readonly owns_database: boolean;
  /** Tables that it owns, by itself or through a role it inherits from. */
  readonly owns: readonly string[];
  /** Tables that it may use without becoming another role. */
  readonly uses: readonly string[];
  /** Roles it may become to which row level security means nothing. */
  readonly becomes: readonly string[];
  /** Roles that the server works as and this one may not become. */
  readonly missing: readonly string[];
}

/** What the role of DATABASE_URL may do by itself: nothing, but become one of the two that work. */
export async function loginFindings(login: Looker, migrated: boolean): Promise<Finding[]> {
  const [role] = await login.read<Role>(
    (sql) => sql`
    with me as (select * from pg_roles where rolname = session_user),
    -- From PostgreSQL 16 on, being a member and being allowed to SET ROLE are two things.
    how as (select case when current_setting('server_version_num')::int >= 160000
      then 'set' else 'member' end as privilege),
    ours as (
      select c.oid, c.relname::text as name, c.relowner from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relname like 'chat\\_%' and c.relkind in ('r', 'p')
    )
    select me.rolname as name, me.rolsuper as superuser, me.rolbypassrls as bypasses,
      me.rolcreaterole as makes_roles, me.rolreplication as replicates,
      (select pg_has_role(me.oid, datdba, 'usage') from pg_database
        where datname = current_database()) as owns_database,
      array(select name from ours where pg_has_role(me.oid, relowner, 'usage') order by 1) as owns,
      array(select name from ours where has_table_privilege(me.oid, ours.oid,
        'select, insert, update, delete, truncate') order by 1) as uses,
      array(select rolname::text from pg_roles r where r.oid <> me.oid
        and pg_has_role(me.oid, r.oid, how.privilege)
        and (r.rolsuper or r.rolbypassrls or r.oid in (select relowner from ours))
        order by 1) as becomes,
      array(select wanted from unnest(array['authenticated', 'chatkeep_worker']) wanted
        where not exists (select from pg_roles r where r.rolname = wanted
          and pg_has_role(me.oid, r.oid, how.privilege))) as missing
    from me, how`,
  );
  if (!role) throw new Error('The login role does not know itself.');
  const findings = [strengthFinding(role)];
  if (migrated) findings.push(workFinding(role));
  return findings;
}

function strengthFinding(role: Role): Finding {
  const subject = 'login role';
  // A superuser may do all the rest too.
  const may = role.superuser
    ? ['is a superuser']
    : [
        role.bypasses && 'bypasses row level security',
        role.owns_database && 'owns the database',
        role.owns.length > 0 && `owns ${role.owns.join(', ')}`,
        role.owns.length === 0 && role.uses.length > 0 && `may use ${role.uses.join(', ')}`,
        role.becomes.length > 0 && `may become ${role.becomes.join(', ')}`,
        role.makes_roles && 'may make roles',
        role.replicates && 'may replicate',
      ].filter((text) => text !== false);
  if (may.length === 0) return ok(subject, `${role.name}: may do nothing by itself`);
  return look(
    subject,
    `${role.name}: ${may.join('; ')}`,
    "Give DATABASE_URL a role that owns nothing: create role chatkeep login noinherit password '…'; and name the owner in MIGRATION_DATABASE_URL.",
  );
}

function workFinding({ name, missing }: Role): Finding {
  if (missing.length === 0) return ok('works as', 'authenticated, chatkeep_worker');
  const roles = missing.join(', ');
  return fault(
    'works as',
    `may not become ${roles}`,
    `npm start grants it if the owner may; else, as the owner: grant ${roles} to "${name}";`,
  );
}
