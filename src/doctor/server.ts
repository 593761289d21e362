import type { Looker } from './connection.ts';
import { type Finding, fault, look, ok } from './finding.ts';
import { isLocal } from './place.ts';

/** Connections of one process at most: its lanes (src/db/database.ts). */
const LANES = 10;
/** A unit of work may take so long; what PostgreSQL cuts off earlier fails for the user. */
const UNIT_OF_WORK_MS = 3_000;

interface Server {
  readonly version: string;
  readonly number: number;
  readonly standby: boolean;
  readonly read_only: boolean;
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly synchronous_commit: string;
  /** Where that was set: `user`, `database`, `configuration file`, … */
  readonly set_by: string;
  readonly checksums: string;
  readonly encoding: string;
  readonly locale: string;
  readonly has_icu: boolean;
  readonly encrypted: boolean | null;
  /** Of what PostgreSQL cuts off by itself, in ms; null for none. */
  readonly limits: Readonly<Record<string, number>> | null;
}

export async function serverFindings(login: Looker): Promise<Finding[]> {
  const [server] = await login.read<Server>(
    (sql) => sql`
    select current_setting('server_version') as version,
      current_setting('server_version_num')::int as number,
      pg_is_in_recovery() as standby,
      current_setting('default_transaction_read_only')::bool as read_only,
      current_setting('fsync') as fsync,
      current_setting('full_page_writes') as full_page_writes,
      current_setting('synchronous_commit') as synchronous_commit,
      (select source from pg_settings where name = 'synchronous_commit') as set_by,
      current_setting('data_checksums', true) as checksums,
      current_setting('server_encoding') as encoding,
      (select datcollate || case to_jsonb(d) ->> 'datlocprovider'
          when 'b' then ' (builtin)' when 'i' then ' (ICU)' else ' (libc)' end
        from pg_database d where datname = current_database()) as locale,
      exists (select from pg_collation where collname = 'und-x-icu') as has_icu,
      (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as encrypted,
      (select jsonb_object_agg(name, setting::int) from pg_settings
        where name in ('transaction_timeout', 'lock_timeout') and setting::int > 0
          and source not in ('default', 'session')) as limits`,
  );
  if (!server) throw new Error('PostgreSQL answered no row.');
  return [
    versionFinding(server),
    roleOfServerFinding(server),
    ...durabilityFindings(server),
    textFinding(server),
    ...encryptionFindings(server, login.url),
    ...timeLimitFindings(server),
  ];
}

function versionFinding({ version, number }: Server): Finding {
  if (number >= 150_000) return ok('version', version);
  return fault('version', version, 'chatkeep needs PostgreSQL 15 or newer.');
}

function roleOfServerFinding({ standby, read_only }: Server): Finding {
  const subject = 'takes writes';
  if (standby) return fault(subject, 'no: it is a standby', 'Name the primary in DATABASE_URL.');
  if (!read_only) return ok(subject, 'yes');
  return fault(
    subject,
    'no: transactions are read only by default',
    'Reset default_transaction_read_only of the server, the database or the role; a full disk or a quota may be why it was set.',
  );
}

/** What an acknowledged message outlives. */
function durabilityFindings(server: Server): Finding[] {
  const { fsync, full_page_writes, synchronous_commit, set_by, checksums } = server;
  const on = (name: string, value: string, advice: string) =>
    value === 'on' ? ok(name, value) : fault(name, value, advice);
  return [
    on('fsync', fsync, 'A power failure destroys the database: set fsync = on.'),
    on(
      'full_page_writes',
      full_page_writes,
      'A power failure can tear pages: set full_page_writes = on.',
    ),
    synchronous_commit === 'off'
      ? fault(
          'synchronous_commit',
          `off (set by ${set_by})`,
          'A crash loses messages that were acknowledged: set it to on, or to local, for the role of DATABASE_URL.',
        )
      : ok('synchronous_commit', synchronous_commit),
    ok('data checksums', checksums ?? 'unknown'),
  ];
}

function textFinding({ encoding, locale, has_icu }: Server): Finding {
  const value = `${encoding}, ${locale}`;
  if (encoding !== 'UTF8') {
    return fault('text', value, 'Messages are in any script: create the database with UTF8.');
  }
  if (has_icu) return ok('text', value);
  return fault(
    'text',
    `${value}, without ICU`,
    'Searches need a PostgreSQL that is built with ICU.',
  );
}

function encryptionFindings({ encrypted }: Server, url: string): Finding[] {
  if (isLocal(url)) return [];
  const mode = new URL(url).searchParams.get('sslmode') ?? new URL(url).searchParams.get('ssl');
  // Behind a pooler PostgreSQL knows only the way from there.
  const demanded = mode !== null && /^(require|verify-ca|verify-full|true)$/.test(mode);
  if (demanded || (encrypted && mode !== null)) return [ok('encryption', 'TLS')];
  return [
    look(
      'encryption',
      'none on the way to another host',
      'Anybody on the way reads the messages: add ?sslmode=require to DATABASE_URL.',
    ),
  ];
}

function timeLimitFindings({ limits }: Server): Finding[] {
  const short = Object.entries(limits ?? {}).filter(([, ms]) => ms < UNIT_OF_WORK_MS);
  if (short.length === 0) return [];
  return [
    look(
      'time limits',
      short.map(([name, ms]) => `${name} ${ms} ms`).join(', '),
      `A unit of work of chatkeep's may take ${UNIT_OF_WORK_MS / 1000} s and ends itself: leave them out for its role.`,
    ),
  ];
}

/** Not for behind a pooler, which is there to have fewer of them. */
export async function connectionsFinding(login: Looker): Promise<Finding> {
  const [row] = await login.read<{ allowed: number; open: number; ours: number }>(
    (sql) => sql`
    select (select least(
          current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
          case when r.rolconnlimit >= 0 then r.rolconnlimit end,
          case when d.datconnlimit >= 0 then d.datconnlimit end)
        from pg_roles r, pg_database d
        where r.rolname = session_user and d.datname = current_database()) as allowed,
      (select coalesce(sum(numbackends), 0)::int from pg_stat_database) as open,
      (select count(*)::int from pg_stat_activity where application_name like 'chatkeep%') as ours`,
  );
  const { allowed = 0, open = 0, ours = 0 } = row ?? {};
  const processes = Math.max(0, Math.floor((allowed - open + ours) / LANES));
  const value = `${open} of ${allowed} open: room for ${processes} ${processes === 1 ? 'process' : 'processes'} of ${LANES}`;
  if (processes > 0) return ok('connections', value);
  return look(
    'connections',
    value,
    'Raise max_connections or the limit of the role, or put a transaction pooler between.',
  );
}
