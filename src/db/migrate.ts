import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';
import { poolerOptions } from './pooler.ts';
import { buildSmallSearch } from './search-index.ts';

/** Where the migrations are, for whoever only wants to know which there are. */
export const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url));

// Any fixed number; the same for every chatkeep, so that processes that start at once wait in line.
const LOCK = 0x63686174;

export interface MigrationReport {
  /** Set when the login role could go round row level security, in words for the start's log. */
  readonly strongRole?: string;
}

/**
 * Brings the database up to date under an advisory lock and lets the login role of `url` act as the
 * roles `authenticated` and `chatkeep_worker`.
 *
 * @param ownerUrl who creates and owns the tables (MIGRATION_DATABASE_URL)
 * @param url who the server works as (DATABASE_URL); may be the same
 */
export async function migrateDatabase(ownerUrl: string, url: string): Promise<MigrationReport> {
  const sql = postgres(poolerOptions(ownerUrl).url, {
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    connect_timeout: 5,
  });
  try {
    await sql`select pg_advisory_lock(${LOCK})`;
    await migrate(drizzle(sql), { migrationsFolder });
    await buildSmallSearch(sql);
    const login =
      ownerUrl === url ? await currentUser(sql) : decodeURIComponent(new URL(url).username);
    await letActAs(sql, login);
    return await inspect(sql, login);
  } finally {
    // Behind a pooler the connection outlives us, and the lock with it.
    await sql`select pg_advisory_unlock_all()`.catch(() => {});
    await sql.end({ timeout: 1 });
  }
}

async function currentUser(sql: postgres.Sql): Promise<string> {
  const [row] = await sql<{ name: string }[]>`select current_user as name`;
  return row?.name ?? '';
}

async function letActAs(sql: postgres.Sql, login: string): Promise<void> {
  const [server] = await sql<{ has_set: boolean }[]>`
    select current_setting('server_version_num')::int >= 160000 as has_set`;
  // From PostgreSQL 16 on, being a member and being allowed to SET ROLE are two things.
  const privilege = server?.has_set ? 'set' : 'member';
  const how = server?.has_set ? sql`with inherit false, set true` : sql``;
  for (const role of ['authenticated', 'chatkeep_worker']) {
    // No row: a pooler's user name (`role.project`), whose role is a member already.
    const [row] = await sql<{ missing: boolean }[]>`
      select not pg_has_role(oid, ${role}, ${privilege}) as missing
      from pg_roles where rolname = ${login}`;
    if (row?.missing) await sql`grant ${sql(role)} to ${sql(login)} ${how}`;
  }
}

async function inspect(sql: postgres.Sql, login: string): Promise<MigrationReport> {
  const [row] = await sql<{ superuser: boolean; bypasses: boolean; owns: boolean }[]>`
    select rolsuper as superuser, rolbypassrls as bypasses,
      exists (select from pg_tables where tablename = 'chat_history' and tableowner = rolname) as owns
    from pg_roles where rolname = ${login}`;
  if (!row) return {};
  const because = row.superuser
    ? 'is a superuser'
    : row.bypasses
      ? 'bypasses row level security'
      : row.owns
        ? 'owns the tables'
        : undefined;
  return because === undefined
    ? {}
    : { strongRole: `The role of DATABASE_URL ${because}; a role that owns nothing is safer.` };
}
