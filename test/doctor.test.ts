import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { diagnose } from '../src/doctor/doctor.ts';
import { COMMANDS, ONE_REDIS } from '../src/doctor/redis-commands.ts';
import type { Section } from '../src/doctor/examine.ts';
import { HISTORY, send, signIn } from './kit/client.ts';
import { createTestDatabase, directUrlOf, type TestDatabase } from './kit/database.ts';
import { startGate } from './kit/gate.ts';
import { type GeminiServer, startGeminiServer } from './kit/gemini-server.ts';
import { freePort } from './kit/ports.ts';
import { pgbouncerAvailable, startPgbouncer } from './kit/pgbouncer.ts';
import { type PostgresServer, startPostgres } from './kit/postgres.ts';
import { redisAvailable, type RedisServer, startRedis } from './kit/redis.ts';
import { startServerForTest } from './kit/server.ts';
import { collect, connect, EVENTS } from './kit/subscriptions.ts';
import { startSupabaseServer, type SupabaseServer } from './kit/supabase-server.ts';

/** Not through a pooler, whatever the other tests do: the doctor looks at the way itself. */
async function createDirectDatabase(options?: { migrated: boolean }): Promise<TestDatabase> {
  const database = await createTestDatabase(options);
  return { ...database, url: directUrlOf(database) };
}

const main = fileURLToPath(new URL('../src/doctor/main.ts', import.meta.url));

let dataDir: string;
let database: TestDatabase;
let gemini: GeminiServer;
let supabase: SupabaseServer;
let redis: RedisServer;
/** All that was ever printed. */
let printed = '';

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'chatkeep-doctor-'));
  [database, gemini, supabase] = await Promise.all([
    createDirectDatabase(),
    startGeminiServer(),
    startSupabaseServer(),
  ]);
  if (!redisAvailable) return;
  redis = await startRedis();
  await redis.client.config('SET', 'requirepass', 'hunter2-redis');
});
afterAll(async () => {
  await Promise.all([gemini.stop(), supabase.stop(), redis?.stop()]);
  await rm(dataDir, { recursive: true, force: true });
});

type Environment = Readonly<Record<string, string>>;

const onDatabase = ({ url, ownerUrl } = database): Environment => ({
  DATABASE_URL: url,
  MIGRATION_DATABASE_URL: ownerUrl,
});

/** One line by its section and subject, as `ok value`, with the advice behind it where there is one. */
type Lines = Readonly<Record<string, string>>;

async function examine(environment: Environment, limitMs?: number) {
  const all = { DATA_DIR: dataDir, ...environment };
  const { output, exitCode } = await diagnose(all, 'JSON', limitMs);
  printed += output;
  const { sections } = JSON.parse(output) as { sections: Section[] };
  const lines: Record<string, string> = {};
  for (const { name, findings } of sections) {
    for (const { subject, verdict, value, advice } of findings) {
      const key = `${name}: ${subject}`;
      const line = [`${verdict} ${value}`, advice].filter(Boolean).join(' → ');
      lines[key] = key in lines ? `${lines[key]}\n${line}` : line;
      // Advice behind each thing that is not as it should be, and behind nothing else.
      expect([key, advice !== undefined]).toEqual([key, verdict !== 'ok']);
    }
  }
  return { lines, exitCode };
}

/** What is not ok, by subject. */
const wrong = (lines: Lines): Lines =>
  Object.fromEntries(Object.entries(lines).filter(([, line]) => !/^ok [^\n]*$/.test(line)));

/** Runs the command itself. */
function run(environment: Environment, ...words: string[]) {
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', main, ...words],
      { env: { PATH: process.env['PATH'] ?? '', DATA_DIR: dataDir, ...environment } },
      (error, stdout, stderr) => {
        printed += stdout + stderr;
        resolve({ code: error ? error.code : 0, stdout, stderr });
      },
    );
  });
}

async function asOwner<T>(
  work: (sql: postgres.Sql) => Promise<T>,
  { ownerUrl } = database,
): Promise<T> {
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** A login role of this test's own, and the URL of it. */
async function createRole(
  options: string,
  ...more: string[]
): Promise<{ name: string; url: string }> {
  const name = `doctor_${randomUUID().slice(0, 8)}`;
  await asOwner(async (sql) => {
    await sql.unsafe(`create role ${name} login password 'hunter2-role' ${options}`);
    for (const statement of more) await sql.unsafe(statement.replaceAll('ROLE', name));
  });
  onTestFinished(() =>
    asOwner(async (sql) => {
      await sql.unsafe(`drop owned by ${name}; drop role ${name}`);
    }),
  );
  const url = Object.assign(new URL(database.url), { username: name, password: 'hunter2-role' });
  return { name, url: url.href };
}

const redisUrl = () => redis.url.replace('//', '//:hunter2-redis@');

const healthy = (): Environment => ({
  ...onDatabase(),
  ...(redisAvailable && { REDIS_URL: redisUrl() }),
  GEMINI_API_KEY: 'test-key',
  GEMINI_BASE_URL: gemini.url,
  SUPABASE_URL: supabase.url,
  SUPABASE_ANON_KEY: supabase.key,
});

describe('npm run doctor', () => {
  it('finds nothing where all is as it should be', async () => {
    const { lines, exitCode } = await examine(healthy());
    // What is this machine's own, and how fast it is just now.
    const own = /^This machine: (build|open files)$|: round trip$/;
    const rest = Object.entries(wrong(lines)).filter(([subject]) => !own.test(subject));
    expect(rest).toEqual([]);
    expect(exitCode).toBe(0);
    expect(lines).toMatchObject({
      'PostgreSQL: version': expect.stringMatching(/^ok 1[5-9]/),
      'PostgreSQL: takes writes': 'ok yes',
      'PostgreSQL: fsync': 'ok on',
      'PostgreSQL: synchronous_commit': 'ok on',
      'PostgreSQL: pooler': 'ok none',
      'PostgreSQL: login role': 'ok chatkeep: may do nothing by itself',
      'PostgreSQL: works as': 'ok authenticated, chatkeep_worker',
      'PostgreSQL: migrations': expect.stringMatching(/^ok all \d+ applied$/),
      'PostgreSQL: row level security': 'ok forced on every table; nothing goes round it',
      'PostgreSQL: extensions': 'ok pg_trgm, btree_gin',
      'PostgreSQL: search': 'ok indexed',
      'PostgreSQL: clock': expect.stringMatching(/^ok /),
      'Model: model': 'ok gemini-2.5-flash is there',
      'Accounts: keys': 'ok 1 (ES256)',
      'Accounts: clock': expect.stringMatching(/^ok /),
      'Accounts: web client': 'ok its publishable key is taken',
    });
    if (redisAvailable) {
      expect(lines).toMatchObject({
        'Redis: version': expect.stringMatching(/^ok /),
        'Redis: role': 'ok master',
        'Redis: commands': 'ok all that are needed',
        'Redis: clock': expect.stringMatching(/^ok /),
      });
      expect(await redis.client.dbsize()).toBe(0);
    }
  });

  it('prints a table, and as JSON the same', async () => {
    const [table, json] = await Promise.all([run(healthy()), diagnose(healthy(), 'JSON')]);
    expect(table).toMatchObject({ code: 0, stderr: '' });
    expect(table.stdout).toMatch(/^PostgreSQL\n {2}✓ ok {5}reachable {2,}\S+ as chatkeep, in/m);
    expect(table.stdout).toMatch(/\d+ ok, \d to look at, 0 faults\./);
    expect(table.stdout).not.toContain('\u001b');
    const coloured = (await diagnose({ DATA_DIR: dataDir }, 'coloured table')).output;
    expect(coloured).toContain('\u001b[33m! look \u001b[39m');
    const { sections } = JSON.parse(json.output) as { sections: Section[] };
    for (const { subject } of sections.flatMap(({ findings }) => findings)) {
      expect(table.stdout).toContain(` ${subject} `);
    }
  });

  it('ends with 2 for an environment that is not right, and names no value', async () => {
    const environment = { PORT: 'hunter2-port', DATABASE_URL: 'hunter2-url' };
    const [plain, json] = await Promise.all([run(environment), diagnose(environment, 'JSON')]);
    expect(plain).toMatchObject({ code: 2, stdout: '' });
    const words = plain.stderr
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(0, 2));
    expect(words).toEqual([
      ['chatkeep:', 'PORT'],
      ['chatkeep:', 'DATABASE_URL'],
    ]);
    expect(json.exitCode).toBe(2);
    expect(JSON.parse(json.output).faults.map((fault: string) => fault.split(' ')[0])).toEqual([
      'PORT',
      'DATABASE_URL',
    ]);
    printed += json.output;
  });

  it('tells of everything that is away, whatever else is away', async () => {
    const nowhere = `127.0.0.1:${await freePort()}`;
    const { lines, exitCode } = await examine({
      DATABASE_URL: `postgres://me:hunter2-password@${nowhere}/chatkeep`,
      REDIS_URL: `redis://:hunter2-password@${nowhere}`,
      GEMINI_API_KEY: 'hunter2-key',
      GEMINI_BASE_URL: `http://${nowhere}`,
      SUPABASE_URL: `http://${nowhere}`,
    });
    expect(exitCode).toBe(1);
    expect(lines).toMatchObject({
      'PostgreSQL: reachable': expect.stringMatching(
        /^fault 127\.0\.0\.1:\d+\/chatkeep as me: nobody listens there → .*DATABASE_URL/,
      ),
      'Redis: reachable': expect.stringMatching(/^fault \S+: nobody listens .*REDIS_URL/),
      'Model: reachable': expect.stringMatching(/^fault nobody listens .*GEMINI_BASE_URL/),
      'Accounts: reachable': expect.stringMatching(/^fault nobody listens .*SUPABASE_URL/),
      'Accounts: web client': expect.stringMatching(/^look .*SUPABASE_ANON_KEY/),
    });
  });

  it('says what it works with where nothing is configured, and starts nothing', async () => {
    const empty = join(dataDir, 'empty');
    const { lines, exitCode } = await examine({ DATA_DIR: empty });
    expect(exitCode).toBe(0);
    expect(lines).toMatchObject({
      'PostgreSQL: embedded': expect.stringMatching(/^look none yet in .*npm start/),
      'Redis: configured': expect.stringMatching(/^ok no: /),
      'Model: replies by': expect.stringMatching(/^ok the offline companion/),
      'Accounts: own key': expect.stringMatching(/^ok none yet/),
    });
    await expect(readdir(empty)).rejects.toThrow('ENOENT');
  });

  it('sees a clock that is wrong', async () => {
    const hours = 'const now = Date.now; Date.now = () => now() - 7200000;';
    const environment = { ...healthy(), NODE_OPTIONS: `--import "data:text/javascript,${hours}"` };
    const { stdout, code } = await run(environment, '--json');
    expect(code).toBe(0);
    const { sections } = JSON.parse(stdout) as { sections: Section[] };
    const clocks = sections.flatMap(({ findings }) =>
      findings.filter(({ subject }) => subject === 'clock'),
    );
    expect(clocks).toHaveLength(redisAvailable ? 3 : 2);
    for (const { verdict, value, advice } of clocks) {
      expect([verdict, value]).toEqual([
        'look',
        expect.stringMatching(/^7(199|200|201) s ahead of ours/),
      ]);
      expect(advice).toContain('NTP');
    }
  });
});

describe('of PostgreSQL, npm run doctor', () => {
  let own: PostgresServer;
  beforeAll(async () => {
    own = await startPostgres();
  });
  afterAll(() => own?.stop());

  it('finds the embedded one while it runs, and leaves it alone', async () => {
    const { lines, exitCode } = await examine({ DATA_DIR: own.dataDir });
    expect(exitCode).toBe(0);
    expect(lines).toMatchObject({
      'PostgreSQL: embedded': `ok runs in ${own.dataDir}`,
      'PostgreSQL: reachable': expect.stringMatching(/^ok .* as chatkeep/),
      'PostgreSQL: login role': expect.stringMatching(/^ok /),
      'PostgreSQL: migrations': expect.stringMatching(/^ok /),
    });
  });

  it('says what a power failure or a crash would destroy', async () => {
    const admin = (...settings: string[]) =>
      asOwner(async (sql) => {
        for (const setting of settings) await sql.unsafe(`alter system ${setting}`);
        await sql`select pg_reload_conf()`;
      }, own);
    await admin('set fsync = off', 'set full_page_writes = off', 'set synchronous_commit = off');
    await expect
      .poll(async () => (await examine(onDatabase(own))).lines)
      .toMatchObject({
        'PostgreSQL: fsync': expect.stringMatching(/^fault off → .*fsync = on/),
        'PostgreSQL: full_page_writes': expect.stringMatching(/^fault off → /),
        'PostgreSQL: synchronous_commit': expect.stringMatching(
          /^fault off \(set by configuration file\) → /,
        ),
      });
    await admin('reset all');
  });

  it('does not wait for what is frozen', async () => {
    const model = gemini.gate();
    gemini.script({ hold: model.promise });
    onTestFinished(async () => {
      await own.thaw();
      redis?.thaw();
      model.open();
    });
    await own.freeze();
    redis?.freeze();
    const { lines, exitCode } = await examine({ ...healthy(), ...onDatabase(own) });
    expect(exitCode).toBe(1);
    expect(lines).toMatchObject({
      'PostgreSQL: reachable': expect.stringMatching(/^fault .*no answer in time → /),
      'Model: reachable': expect.stringMatching(/^fault no answer in time → /),
      'Accounts: keys': 'ok 1 (ES256)',
    });
    if (redisAvailable) {
      expect(lines['Redis: reachable']).toMatch(/^fault .*no answer in time → /);
    }
  });

  it('says what it had found when the time is over', async () => {
    const gate = await startGate(database.url);
    onTestFinished(() => gate.close());
    const environment = { ...onDatabase(), DATABASE_URL: gate.url };
    gate.delay(20);
    const examining = examine(environment, 1_500);
    // One more than for the first lines: from now on nothing ever answers.
    await expect.poll(() => gate.connections).toBeGreaterThan(1);
    gate.blackHole();
    const { lines, exitCode } = await examining;
    expect(exitCode).toBe(1);
    expect(lines).toMatchObject({
      'PostgreSQL: reachable': expect.stringMatching(/^ok /),
      'PostgreSQL: round trip': expect.stringMatching(/^look \d+ ms → /),
      'PostgreSQL: time': expect.stringMatching(/^fault no answer within 1.5 s → /),
      'Model: replies by': expect.stringMatching(/^ok /),
    });
  });

  it('does not start the embedded one', async () => {
    await own.stopAtOnce();
    const { lines, exitCode } = await examine({ DATA_DIR: own.dataDir });
    expect(exitCode).toBe(0);
    expect(lines['PostgreSQL: embedded']).toMatch(
      /^look not running; .* → It starts with npm start/,
    );
    const { lines: direct } = await examine(onDatabase(own));
    expect(direct['PostgreSQL: reachable']).toMatch(/^fault .*nobody listens there/);
  });

  it('tells which migrations are missing, and that the database is newer', async () => {
    const empty = await createDirectDatabase({ migrated: false });
    const before = await examine(onDatabase(empty));
    expect(before.lines['PostgreSQL: migrations']).toMatch(/^look none of \d+ .*npm start applies/);
    expect(before.exitCode).toBe(0);

    const other = await createDirectDatabase();
    const change = (statement: string) => asOwner((sql) => sql.unsafe(statement), other);
    const seen = async () => (await examine(onDatabase(other))).lines['PostgreSQL: migrations'];
    await change(`delete from drizzle.__drizzle_migrations
      where created_at = (select max(created_at) from drizzle.__drizzle_migrations)`);
    expect(await seen()).toMatch(/^look 1 pending: \d{4}_\w+ → The next npm start/);
    // What it is to mend is no fault.
    await change('alter table chat_personalities no force row level security');
    expect((await examine(onDatabase(other))).exitCode).toBe(0);
    await change('alter table chat_personalities force row level security');
    await change(`update drizzle.__drizzle_migrations set hash = 'other'
      where created_at = (select min(created_at) from drizzle.__drizzle_migrations)`);
    expect(await seen()).toMatch(/^look applied with another text: 0000_before → /);
    await change(`delete from drizzle.__drizzle_migrations where hash = 'other'`);
    expect(await seen()).toMatch(/^fault never applied, .*: 0000_before → /);
    await change(`insert into drizzle.__drizzle_migrations (hash, created_at)
      values ('later', extract(epoch from now() + interval '9 years') * 1000)`);
    expect(await seen()).toMatch(/^fault the database is newer: it has 1 .* → Run the chatkeep/);
  });

  it('says what the login role may do by itself', async () => {
    const seen = async ({ url }: { url: string }) => {
      const { lines, exitCode } = await examine({ ...onDatabase(), DATABASE_URL: url });
      return [lines['PostgreSQL: login role'], lines['PostgreSQL: works as'], exitCode];
    };
    const superuser = await createRole('superuser');
    expect(await seen(superuser)).toEqual([
      expect.stringMatching(/^look \w+: is a superuser → .*owns nothing/),
      'ok authenticated, chatkeep_worker',
      0,
    ]);
    const strong = await createRole(
      'bypassrls createrole inherit',
      'grant authenticated, chatkeep_worker to ROLE',
      `grant ${superuser.name} to ROLE`,
    );
    expect(await seen(strong)).toEqual([
      expect.stringMatching(
        /^look \w+: bypasses row level security; may use chat_counters.*; may become .*doctor_\w+.*; may make roles → /,
      ),
      'ok authenticated, chatkeep_worker',
      0,
    ]);
    const weak = await createRole('noinherit', 'grant select on chat_history to ROLE');
    expect(await seen(weak)).toEqual([
      expect.stringMatching(/^look \w+: may use chat_history → /),
      expect.stringMatching(/^fault may not become authenticated, chatkeep_worker → .*grant/),
      1,
    ]);
  });

  it('sees what is set for the role or the database alone', async () => {
    const role = await createRole(
      'noinherit connection limit 9',
      'grant authenticated, chatkeep_worker to ROLE',
      'alter role ROLE set synchronous_commit = off',
      'alter role ROLE set lock_timeout = 100',
    );
    const other = await createDirectDatabase();
    await asOwner(async (sql) => {
      const { pathname } = new URL(other.url);
      await sql.unsafe(
        `alter database ${pathname.slice(1)} set default_transaction_read_only = on`,
      );
    });
    const { lines } = await examine({ ...onDatabase(), DATABASE_URL: role.url });
    expect(wrong(lines)).toMatchObject({
      'PostgreSQL: synchronous_commit': expect.stringMatching(/^fault off \(set by user\) → /),
      'PostgreSQL: connections': expect.stringMatching(/^look .*room for 0 processes.* → Raise/),
      'PostgreSQL: time limits': expect.stringMatching(/^look lock_timeout 100 ms → /),
    });
    const readOnly = await examine(onDatabase(other));
    expect(readOnly.lines['PostgreSQL: takes writes']).toMatch(/^fault no: .*read only.* → Reset/);
    expect(readOnly.exitCode).toBe(1);
  });

  it('sees tables that are open, and what is broken in them', async () => {
    const other = await createDirectDatabase();
    await asOwner(async (sql) => {
      const [user] = await sql`insert into auth.users (id) values (gen_random_uuid()) returning id`;
      const [row] = await sql`
        insert into chat_history (user_id, id, message, response, mood, mood_score)
        values (${user?.['id']}, gen_random_uuid(), 'hunter2-message', '', 'NEUTRAL', 0)
        returning user_id, id`;
      await sql`insert into chat_reply_leases (user_id, message_id, token, expires_at)
        values (${row?.['user_id']}, ${row?.['id']}, gen_random_uuid(), now() - interval '1 hour')`;
      await sql.unsafe(`
        alter table chat_history no force row level security;
        drop policy "Users can delete own counter" on chat_counters;
        alter table chat_history disable trigger number_change;
        drop index idx_chat_history_personality;
        update pg_index set indisvalid = false where indexrelid = 'idx_chat_deletions_user_seq'::regclass`);
    }, other);
    const { lines, exitCode } = await examine(onDatabase(other));
    expect(exitCode).toBe(1);
    expect(wrong(lines)).toMatchObject({
      'PostgreSQL: row level security': expect.stringMatching(
        /^fault .*chat_history.*chat_counters.* → /,
      ),
      'PostgreSQL: tables': expect.stringMatching(
        /^fault missing: idx_chat_history_personality → /,
      ),
      'PostgreSQL: indexes': expect.stringMatching(
        /^look not valid: idx_chat_deletions_user_seq → .*reindex/,
      ),
      'PostgreSQL: numbering': expect.stringMatching(/^fault .*does not fire → /),
      'PostgreSQL: abandoned replies': expect.stringMatching(/^look 1, .* → A running chatkeep/),
    });
  });

  it('sees what search lacks', async () => {
    const empty = await createDirectDatabase({ migrated: false });
    const before = await examine(onDatabase(empty));
    expect(before.lines['PostgreSQL: extensions']).toMatch(
      /^ok pg_trgm, btree_gin: the next start/,
    );
    expect(before.lines['PostgreSQL: search']).toBeUndefined();

    const other = await createDirectDatabase();
    await asOwner((sql) => sql`drop index idx_chat_history_search`, other);
    const slower = await examine(onDatabase(other));
    expect(slower.lines['PostgreSQL: search']).toMatch(/^look not indexed yet → .*start one/);
    await asOwner((sql) => sql`drop extension btree_gin cascade`, other);
    const broken = await examine(onDatabase(other));
    expect(broken.lines['PostgreSQL: extensions']).toMatch(
      /^fault missing: btree_gin → .*create extension btree_gin;/,
    );
    expect(broken.exitCode).toBe(1);
  });

  it.skipIf(!pgbouncerAvailable)('finds a pooler, and whether the URL says so', async () => {
    const { url, ownerUrl } = database;
    const pools = await Promise.all(
      (['transaction', 'session', 'statement'] as const).map((mode) =>
        startPgbouncer([url, ownerUrl], { mode }),
      ),
    );
    onTestFinished(() => Promise.all(pools.map((pool) => pool.stop())).then(() => {}));
    const [transaction, session, statement] = pools.map((pool) => pool.through(url));
    const seen = async (through: string, more = '') => {
      const environment = { ...onDatabase(), DATABASE_URL: `${through}${more}` };
      const { lines, exitCode } = await examine(environment);
      return [lines['PostgreSQL: pooler'], exitCode];
    };
    expect(await seen(transaction as string)).toEqual([
      expect.stringMatching(/^fault a transaction pooler, and .* not .* → .*\?pgbouncer=true/),
      1,
    ]);
    expect(await seen(transaction as string, '?pgbouncer=true')).toEqual([
      'ok a transaction pooler, and DATABASE_URL says so',
      0,
    ]);
    expect(await seen(statement as string, '?pgbouncer=true')).toEqual([expect.anything(), 1]);
    expect(await seen(session as string)).toEqual(['ok one that keeps sessions', 0]);
    expect(await seen(url, '?pgbouncer=true')).toEqual([
      expect.stringMatching(/^look none, though .* → Harmless/),
      0,
    ]);
    const { lines } = await examine({
      ...onDatabase(),
      MIGRATION_DATABASE_URL: pools[0]?.through(ownerUrl) as string,
    });
    expect(lines['PostgreSQL: migrations by']).toMatch(/^fault a transaction pooler → .*direct/);
  });
});

describe.skipIf(!redisAvailable)('of Redis, npm run doctor', () => {
  const seen = async (url: string, ...subjects: string[]) => {
    const { lines, exitCode } = await examine({ ...onDatabase(), REDIS_URL: url });
    return [...subjects.map((subject) => lines[`Redis: ${subject}`]), exitCode];
  };

  it('sees a password that is wrong, and memory that runs full', async () => {
    expect(await seen(redis.url.replace('//', '//:hunter2-wrong@'), 'reachable')).toEqual([
      expect.stringMatching(/^fault .*WRONGPASS.* → /),
      1,
    ]);
    expect(await seen(redis.url, 'reachable')).toEqual([
      expect.stringMatching(/^fault .*NOAUTH/),
      1,
    ]);
    await redis.client.config('SET', 'maxmemory', '100mb');
    expect(await seen(redisUrl(), 'memory')).toEqual([
      expect.stringMatching(/^look .* used of 100\S+, noeviction → .*allkeys-lru/),
      0,
    ]);
    await redis.client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await seen(redisUrl(), 'memory')).toEqual([
      expect.stringMatching(/^ok .*allkeys-lru$/),
      0,
    ]);
  });

  it('sees which commands are refused', async () => {
    const user = async (name: string, ...rules: string[]) => {
      await redis.client.acl('SETUSER', name, 'on', '>hunter2-user', ...rules);
      return redis.url.replace('//', `//${name}:hunter2-user@`);
    };
    const enough =
      '~chat:* &chat:* +@read +@write +@scripting +@pubsub +@connection +time +info'.split(' ');
    expect(await seen(await user('enough', ...enough), 'commands')).toEqual([
      'ok all that are needed',
      0,
    ]);
    expect(await seen(await user('unscripted', ...enough, '-eval'), 'commands')).toEqual([
      expect.stringMatching(/^fault the user may not EVAL → .*acl setuser/),
      1,
    ]);
    const url = await user('deaf', ...enough, '-subscribe', '-hset', 'resetchannels');
    expect(await seen(url, 'commands')).toEqual([
      expect.stringMatching(/^fault the user may not HSET, PUBLISH, SUBSCRIBE → /),
      1,
    ]);
  });

  it('knows of every command that the server sends', async () => {
    const names = [...COMMANDS, ...ONE_REDIS].map(([name, sub]) =>
      name === 'client' ? `+${name}|${sub}` : `+${name}`,
    );
    await redis.client.acl('SETUSER', 'server', 'on', '>hunter2-user', '~chat:*', '&chat:*');
    await redis.client.acl('SETUSER', 'server', '+eval', ...names);
    await redis.client.acl('LOG', 'RESET');
    const REDIS_URL = redis.url.replace('//', '//server:hunter2-user@');
    const server = await startServerForTest({ env: { REDIS_URL, RATE_LIMIT_PER_MINUTE: '100' } });
    const me = await signIn(server);
    const events = collect(connect(server, me.token), EVENTS);
    await send(me, 'hello');
    await events.first(({ data }) => data.chatEvents.__typename === 'MessageChanged');
    const served = async () => (await me.ask(HISTORY)).headers.get('cache-status');
    await expect.poll(served).toMatch(/hit/);
    // A subscriber looks every two seconds whether its connection is alive.
    const looked = async () => (await redis.client.info('commandstats')).includes('client|info');
    await expect.poll(looked).toBe(true);
    // ioredis tells its name where it may, from Redis 7.2 on.
    const refused = ((await redis.client.acl('LOG')) as unknown[]).map((one) =>
      JSON.stringify(one),
    );
    expect(refused.filter((one) => !one.includes('client|setinfo'))).toEqual([]);
  });

  it('sees a replica, and nodes of a Cluster', async () => {
    const [replica, node] = await Promise.all([
      startRedis('--replicaof', '127.0.0.1', '1'),
      startRedis('--cluster-enabled', 'yes'),
    ]);
    onTestFinished(() => Promise.all([replica.stop(), node.stop()]).then(() => {}));
    expect(await seen(replica.url, 'role')).toEqual([
      expect.stringMatching(/^fault replica → /),
      1,
    ]);
    expect(await seen(node.url, 'form')).toEqual([
      expect.stringMatching(/^fault a node of a Redis Cluster, .* → Name two or more/),
      1,
    ]);
    expect(await seen(`${node.url},${node.url}`, 'form', 'cluster')).toEqual([
      'ok Redis Cluster',
      expect.stringMatching(/^fault state fail, 0 of 16384 slots → /),
      1,
    ]);
    const nowhere = `redis://127.0.0.1:${await freePort()}`;
    expect(await seen(`${node.url},${nowhere}`, 'reachable')).toEqual([
      expect.stringMatching(/^ok .*\nlook .*nobody listens there → The others lead/),
      1,
    ]);
    expect(await seen(`${redisUrl()},${redisUrl()}`, 'form')).toEqual([
      expect.stringMatching(/^fault .*no Redis Cluster → Name one/),
      1,
    ]);
  });
});

describe('of the model and the accounts, npm run doctor', () => {
  const model = async (environment: Environment) => {
    const { lines, exitCode } = await examine({
      ...onDatabase(),
      GEMINI_API_KEY: 'test-key',
      GEMINI_BASE_URL: gemini.url,
      ...environment,
    });
    return [lines['Model: key'], lines['Model: model'], exitCode];
  };

  it('sees a key that is refused and a model that is not there, and has nothing generated', async () => {
    gemini.reset();
    expect(await model({ GEMINI_API_KEY: 'hunter2-key' })).toEqual([
      expect.stringMatching(/^fault refused \(400\) → .*GEMINI_API_KEY/),
      undefined,
      1,
    ]);
    expect(await model({ GEMINI_MODEL: 'nobody' })).toEqual([
      'ok taken',
      expect.stringMatching(/^fault nobody is not known there → .*GEMINI_MODEL/),
      1,
    ]);
    expect(await model({ GEMINI_MODEL: 'gemini-embedding-001' })).toEqual([
      'ok taken',
      expect.stringMatching(/^fault .* does not write text → /),
      1,
    ]);
    gemini.script({ status: 429 }, { status: 503 });
    expect(await model({})).toEqual([expect.stringMatching(/^look over its limit/), undefined, 0]);
    expect(await model({})).toEqual([
      undefined,
      expect.stringMatching(/^look could not be asked about \(503\) → /),
      0,
    ]);
    expect(gemini.requests.filter(({ path }) => path.includes(':'))).toEqual([]);
  });

  it('sees keys that cannot be had, and keys that are of no use', async () => {
    const seen = async (subject: string, environment: Environment) => {
      const { lines, exitCode } = await examine({ ...onDatabase(), ...environment });
      return [lines[`Accounts: ${subject}`], exitCode];
    };
    const keys = (environment: Environment) => seen('keys', environment);
    const SUPABASE_ANON_KEY = 'sb_publishable_hunter2';
    const withKey = { SUPABASE_URL: supabase.url, SUPABASE_ANON_KEY };
    expect(await seen('web client', withKey)).toEqual([
      expect.stringMatching(/^fault .*its key is refused \(401\) → Set SUPABASE_ANON_KEY/),
      1,
    ]);
    supabase.away = true;
    onTestFinished(() => {
      supabase.away = false;
    });
    expect(await seen('web client', withKey)).toEqual([
      expect.stringMatching(/^look .*could not be seen \(503\) → /),
      1,
    ]);
    expect(await keys({ SUPABASE_URL: supabase.url })).toEqual([
      expect.stringMatching(/^fault no list of keys, but an answer 503 → Nobody can sign in/),
      1,
    ]);
    const empty = createServer((_, response) => response.end('{"keys":[]}')).listen(0, '127.0.0.1');
    onTestFinished(() => {
      empty.close();
      empty.closeAllConnections();
    });
    await new Promise((resolve) => empty.once('listening', resolve));
    const SUPABASE_URL = `http://127.0.0.1:${(empty.address() as AddressInfo).port}`;
    expect(await keys({ SUPABASE_URL })).toEqual([
      expect.stringMatching(/^fault 0 \(none\) → .*SUPABASE_JWT_SECRET/),
      1,
    ]);
    const SUPABASE_JWT_SECRET = 'hunter2-secret-of-at-least-32-bytes';
    expect(await keys({ SUPABASE_URL, SUPABASE_JWT_SECRET })).toEqual([
      expect.stringMatching(/^ok 0 \(none\); tokens are checked by the JWT secret$/),
      0,
    ]);
  });

  it('sees secrets that others may read, and a key that is none', async () => {
    const DATA_DIR = join(dataDir, 'open');
    await mkdir(DATA_DIR);
    const seen = async (subject: string) =>
      (await examine({ ...onDatabase(), DATA_DIR })).lines[subject];
    await writeFile(join(DATA_DIR, 'jwt.key'), 'hunter2-key'.repeat(4), { mode: 0o644 });
    await writeFile(join(DATA_DIR, 'postgres.password'), 'hunter2-file', { mode: 0o640 });
    expect(await seen('Accounts: own key')).toMatch(/^look .*mode 644\) → .*chmod 600/);
    expect(await seen('This machine: database password')).toMatch(/^look .*mode 640\) → /);
    await writeFile(join(DATA_DIR, 'jwt.key'), '');
    expect(await seen('Accounts: own key')).toMatch(/^fault .* 0 bytes, which is no key → Restore/);
    await rm(join(DATA_DIR, 'jwt.key'));
    await mkdir(join(DATA_DIR, 'jwt.key'));
    expect(await seen('Accounts: own key')).toMatch(/^fault .*cannot be read: EISDIR → /);
  });
});

it('has repeated no secret in all of that', () => {
  const passwords = [inject('postgres').url, inject('postgres').ownerUrl].map(
    (url) => new URL(url).password,
  );
  expect(printed.length).toBeGreaterThan(10_000);
  for (const secret of [...passwords, 'hunter2', 'test-key', supabase.key]) {
    expect(printed).not.toContain(secret);
  }
});
