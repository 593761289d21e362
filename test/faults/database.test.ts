import { randomUUID } from 'node:crypto';
import { type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditDatabase } from '../../src/db/audit.ts';
import {
  type Claims,
  createDatabase,
  type Database,
  type QueryBuilder,
  type Prepared,
} from '../../src/db/database.ts';
import { createMessageStore, type MessageRow } from '../../src/db/messages.ts';
import { createReplyStore } from '../../src/db/replies.ts';
import { createUserStore } from '../../src/db/users.ts';
import { type Client, send, signIn } from '../kit/client.ts';
import { times } from '../kit/promises.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { report } from '../kit/trials.ts';
import { rowsOf, seedVictim, type Victim } from '../kit/victim.ts';

let server: TestServer;
let owner: postgres.Sql;
let login: postgres.Sql;
let database: Database;
let victim: Victim;
let intruder: Client;

beforeAll(async () => {
  server = await startServer();
  owner = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
  login = postgres(server.database.url, { max: 1, onnotice: () => {} });
  database = createDatabase({ url: server.database.url });
  victim = await seedVictim(server, owner);
  intruder = await signIn(server);
  await send(intruder, 'one thing of my own');
});
afterAll(async () => {
  await owner?.end();
  await login?.end();
  await database?.close();
  await server?.stop();
});

interface Damage {
  readonly done: string;
  readonly undone: string;
  readonly found: string;
}

const OPEN_FUNCTION = `create function chatkeep.peek() returns bigint language sql
  security definer set search_path = '' as 'select count(*) from public.chat_history'`;

/** What an audit of the database has to find, each by itself. */
const DAMAGES: readonly Damage[] = [
  {
    done: 'alter table chat_history disable row level security',
    undone: 'alter table chat_history enable row level security',
    found: 'Row level security is off on public.chat_history.',
  },
  {
    done: 'alter table auth.users no force row level security',
    undone: 'alter table auth.users force row level security',
    found: 'Row level security is not forced on auth.users: its owner goes round it.',
  },
  {
    done: 'create table chatkeep.notes (user_id uuid)',
    undone: 'drop table chatkeep.notes',
    found: 'Row level security is off on chatkeep.notes.',
  },
  {
    done: `create table elsewhere (like chat_deletions including all);
      alter table elsewhere inherit chat_deletions`,
    undone: 'drop table elsewhere',
    found: 'Row level security is off on public.elsewhere.',
  },
  {
    done: 'alter policy "Users can view own messages" on chat_history rename to p; drop policy p on chat_history',
    undone: `create policy "Users can view own messages" on chat_history for select to authenticated
      using ((select auth.uid()) = user_id)`,
    found: 'authenticated may SELECT public.chat_history, but no policy says which rows.',
  },
  {
    done: 'alter policy "Users can delete own deletions" on chat_deletions to chatkeep_worker',
    undone: 'alter policy "Users can delete own deletions" on chat_deletions to authenticated',
    found: 'authenticated may DELETE public.chat_deletions, but no policy says which rows.',
  },
  {
    done: 'create policy extra on chat_counters for select using (true)',
    undone: 'drop policy extra on chat_counters',
    found:
      'The policy "extra" on public.chat_counters lets through more than a user\'s own rows: true.',
  },
  {
    done: `create policy extra on chat_history for update to authenticated
      using ((select auth.uid()) = user_id) with check (auth.uid() is not null)`,
    undone: 'drop policy extra on chat_history',
    found:
      'The policy "extra" on public.chat_history lets through more than a user\'s own rows: (auth.uid() IS NOT NULL).',
  },
  {
    done: 'create policy extra on chat_history for select to chatkeep_worker using (true)',
    undone: 'drop policy extra on chat_history',
    found:
      'The policy "extra" on public.chat_history lets through more than a user\'s own rows: true.',
  },
  {
    done: 'grant truncate on chat_history to authenticated',
    undone: 'revoke truncate on chat_history from authenticated',
    found: 'authenticated may TRUNCATE public.chat_history, where no policy holds.',
  },
  {
    done: 'grant select on chat_personalities to public',
    undone: 'revoke select on chat_personalities from public',
    found: 'PUBLIC may SELECT public.chat_personalities without having signed in.',
  },
  {
    done: 'grant select (message) on chat_history to public',
    undone: 'revoke select (message) on chat_history from public',
    found: 'PUBLIC may SELECT public.chat_history without having signed in.',
  },
  {
    done: 'create sequence chatkeep.numbers; grant usage on sequence chatkeep.numbers to public',
    undone: 'drop sequence chatkeep.numbers',
    found: 'PUBLIC may USAGE chatkeep.numbers without having signed in.',
  },
  {
    done: 'grant select (message) on chat_history to chatkeep_worker',
    undone: 'revoke select (message) on chat_history from chatkeep_worker',
    found: 'chatkeep_worker may SELECT public.chat_history; it needs nothing but the leases.',
  },
  {
    done: 'create view all_messages as select * from chat_history',
    undone: 'drop view all_messages',
    found: "The view public.all_messages reads with its owner's rights: make it security_invoker.",
  },
  {
    done: 'create view all_messages with (security_invoker = off) as select 1 from chat_history',
    undone: 'drop view all_messages',
    found: "The view public.all_messages reads with its owner's rights: make it security_invoker.",
  },
  {
    done: 'create materialized view chatkeep.copy as select * from chat_history',
    undone: 'drop materialized view chatkeep.copy',
    found:
      'The materialized view chatkeep.copy keeps rows of everybody, without row level security.',
  },
  {
    done: 'alter function chatkeep.viewer() reset search_path',
    undone: "alter function chatkeep.viewer() set search_path = ''",
    found: "The function chatkeep.viewer() has its owner's rights and no fixed search_path.",
  },
  {
    done: 'alter function chatkeep.next_seq(uuid) reset search_path',
    undone: "alter function chatkeep.next_seq(uuid) set search_path = ''",
    found: 'The function chatkeep.next_seq(uuid) has no fixed search_path.',
  },
  {
    done: OPEN_FUNCTION,
    undone: 'drop function chatkeep.peek()',
    found: 'PUBLIC may execute the function chatkeep.peek().',
  },
  {
    done: 'alter function chatkeep.fold(text) leakproof',
    undone: 'alter function chatkeep.fold(text) not leakproof',
    found: 'The function chatkeep.fold(text) is LEAKPROOF: it is called before row level security.',
  },
  {
    done: 'grant create on schema public to public',
    undone: 'revoke create on schema public from public',
    found: 'PUBLIC may CREATE in the schema public.',
  },
  {
    done: 'grant usage on schema chatkeep to public',
    undone: 'revoke usage on schema chatkeep from public',
    found: 'PUBLIC may USAGE in the schema chatkeep.',
  },
  {
    done: 'create policy extra on chat_deletions for select to chatkeep_search using (true)',
    undone: 'drop policy extra on chat_deletions',
    found:
      'The policy "extra" on public.chat_deletions lets through more than a user\'s own rows: true.',
  },
  {
    done: 'grant delete on chat_history to chatkeep_search',
    undone: 'revoke delete on chat_history from chatkeep_search',
    found:
      'chatkeep_search may DELETE public.chat_history; it needs to see messages and to fill in what is searched.',
  },
  {
    done: 'grant update (message) on chat_history to chatkeep_search',
    undone: 'revoke update (message) on chat_history from chatkeep_search',
    found: 'chatkeep_search may update more of public.chat_history than what is searched.',
  },
  {
    done: 'alter function chatkeep.next_seq(uuid) owner to chatkeep_search',
    undone: 'alter function chatkeep.next_seq(uuid) owner to postgres',
    found: 'The function chatkeep.next_seq(uuid) acts as chatkeep_search.',
  },
  {
    done: 'grant execute on function chatkeep.is_filled() to authenticated',
    undone: 'revoke execute on function chatkeep.is_filled() from authenticated',
    found: 'authenticated may execute the function chatkeep.is_filled(), which is not for users.',
  },
  {
    done: 'grant chatkeep_search to authenticated with inherit true',
    undone: 'revoke chatkeep_search from authenticated',
    found: 'authenticated may act as chatkeep_search.',
  },
  {
    done: 'alter role authenticated bypassrls',
    undone: 'alter role authenticated nobypassrls',
    found: 'The role authenticated goes round row level security.',
  },
  {
    done: 'alter table chat_history owner to authenticated',
    undone: `alter table chat_history owner to postgres;
      grant select, insert, update, delete on chat_history to authenticated`,
    found: 'The role authenticated owns public.chat_history.',
  },
];

const audit = () => login.begin('read only', auditDatabase);

describe('the audit of the database', () => {
  it('finds nothing in a new one, and has looked at all that is in it', async () => {
    expect(await audit()).toEqual([]);
    // Whatever a migration has made is looked at: where everything is open, all of it is found.
    const tables = await owner<{ name: string }[]>`
      select oid::regclass::text as name from pg_class
      where relkind not in ('i', 'I', 't', 'c')
        and relnamespace::regnamespace::text !~ '^(pg_|information_schema|drizzle)'`;
    const isOpen = (name: string) => `PUBLIC may SELECT ${name} without having signed in.`;
    const inFull = tables.map(({ name }) => (name.includes('.') ? name : `public.${name}`));
    for (const { name } of tables) await owner.unsafe(`grant select on ${name} to public`);
    expect(await audit()).toEqual(expect.arrayContaining([...inFull.map(isOpen).toSorted()]));
    for (const { name } of tables) await owner.unsafe(`revoke select on ${name} from public`);
    expect(await audit()).toEqual([]);
    // The migrations' own table is the owner's alone.
    const others = await owner`select 1 from pg_class c, aclexplode(c.relacl) acl
      where relnamespace = 'drizzle'::regnamespace and acl.grantee <> relowner`;
    expect(others).toHaveLength(0);
  });

  it('leaves nothing to the login role by itself', async () => {
    const [role] = await owner`
      select rolsuper, rolbypassrls, rolinherit from pg_roles where rolname = 'chatkeep'`;
    expect(role).toEqual({ rolsuper: false, rolbypassrls: false, rolinherit: false });
    for (const table of ['chat_history', 'chat_reply_leases', 'auth.users']) {
      await expect(login.unsafe(`select 1 from ${table}`)).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('finds each thing that is wrong', async ({ task }) => {
    const violations: string[] = [];
    for (const { done, undone, found } of DAMAGES) {
      await owner.unsafe(done);
      const findings = await audit();
      await owner.unsafe(undone);
      if (!findings.includes(found)) violations.push(`${done}: not found in ${findings.join(' ')}`);
      const left = await audit();
      if (left.length > 0) violations.push(`${undone}: ${left.join(' ')}`);
    }
    report({ task }, 'database', { trials: DAMAGES.length, of: 'things broken', violations });
  });
});

/** What a list of statements is made into before it is sent, and in whose name. */
interface Bent {
  readonly what: string;
  /** Whose filters the stores write into their statements. */
  readonly asked: () => Claims;
  readonly database: (noted: (rows: unknown) => void) => Database;
}

const dialect = new PgDialect();

/** The statement as it would be if nobody had thought of users: every `user_id = …` is true. */
function withoutUsers(work: SQLWrapper | Prepared<unknown>): SQL {
  const written = 'read' in work ? work : dialect.sqlToQuery(work.getSQL());
  const text = written.sql.replace(
    /("?[\w.]+"?\.)?"user_id" = (\$\d+)/g,
    (_, _table, param) => `${param}::uuid is not null`,
  );
  const parts = text.split(/\$(\d+)/).map((part, i) =>
    // As a parameter of its own, in the place where it stood.
    i % 2 === 0 ? sql.raw(part) : sql`${sql.param(written.params[Number(part) - 1])}`,
  );
  return sql.join(parts);
}

const BENT: readonly Bent[] = [
  {
    what: "with the victim's own filters",
    asked: () => ({ sub: victim.userId }),
    database: (noted) => ({
      ...database,
      async asUser(_, build) {
        const rows = await database.asUser({ sub: intruder.userId }, build);
        noted(rows);
        return rows;
      },
    }),
  },
  {
    what: 'without any filter',
    asked: () => ({ sub: intruder.userId }),
    database: (noted) => ({
      ...database,
      async asUser(claims, build) {
        const rows = await database.asUser(claims, (db) =>
          build(db).map((work) => db.execute(withoutUsers(work))),
        );
        noted(rows);
        // Rows as objects and not as the store expects them: what it makes of them does not matter.
        return rows as never;
      },
    }),
  },
];

type Calls<S> = { readonly [K in keyof S]: (claims: Claims) => unknown };

/** Each method of each store, with the victim's ids; one that is missing here is a type error. */
function callsOf(on: Database) {
  const messages = createMessageStore(on);
  const replies = createReplyStore(on);
  const users = createUserStore(on);
  const { COMPLETE = '', STREAMING = '', FAILED = '', DELETED = '' } = victim.ids;
  const fresh = (id: string) => ({
    id,
    message: 'intruding',
    personalityContext: undefined,
    mood: 'NEUTRAL' as const,
    moodScore: 0,
    token: randomUUID(),
    leaseMs: 60_000,
  });
  const page = { size: 50, towards: 'older' } as const;
  const ofMessages: Calls<typeof messages> = {
    page: async (me) => [
      await messages.page(me, page),
      await messages.page(me, { ...page, towards: 'newer' }),
    ],
    around: (me) => messages.around(me, { id: FAILED, newer: 25, older: 25 }),
    search: (me) =>
      messages.search(me, {
        size: 50,
        order: 'NEWEST',
        needles: [victim.canary],
        excluded: [],
        within: 'BOTH',
      }),
    seq: (me) => messages.seq(me),
    find: (me) => messages.find(me, COMPLETE),
    claimed: async (me) => [
      await messages.claimed(me, fresh(COMPLETE)),
      await messages.claimed(me, fresh(DELETED)),
    ],
    insert: async (me) => {
      await Promise.allSettled([messages.insert(me, fresh(COMPLETE))]);
      await messages.insert(me, fresh(randomUUID()));
    },
    delete: (me) => messages.delete(me, COMPLETE),
    changes: (me) => messages.changes(me, 0n, 100),
    running: (me) => messages.running(me),
    trend: (me) =>
      messages.trend(me, { from: '2021-01-01', to: '2022-01-01', bucket: 'DAY', timeZone: 'UTC' }),
    turnsBefore: (me) =>
      messages.turnsBefore(me, { id: COMPLETE, createdAt: 'infinity' } as MessageRow, 10),
  };
  const outcome = { status: 'FAILED', response: 'intruding', failure: null } as const;
  const reply = { userId: victim.userId, messageId: STREAMING, token: leaseToken };
  const ofReplies: Calls<Omit<typeof replies, 'beat' | 'abandoned'>> = {
    progress: (me) => replies.progress(me, STREAMING, leaseToken, 'intruding'),
    finish: (me) => replies.finish(me, STREAMING, leaseToken, outcome),
    abandon: (me) => replies.abandon(me, reply, { status: 'FAILED', failure: null }),
    restart: (me) => replies.restart(me, FAILED, randomUUID(), 60_000),
    requestStop: (me) => replies.requestStop(me, STREAMING),
  };
  const ofUsers: Calls<typeof users> = {
    register: (me) => users.register(me),
    setPersonality: async (me) => [
      await users.setPersonality(me, { intruding: true }),
      await users.setPersonality(me, null),
    ],
  };
  return Object.entries({ ...ofMessages, ...ofReplies, ...ofUsers });
}

/** Of the victim's reply that is being written: known to the intruder, for the sake of the test. */
let leaseToken = '';

interface Found {
  readonly name: string;
  /** The code with which it was refused, or what the store stumbled over; empty for neither. */
  readonly refusal: string;
  readonly traces: readonly string[];
}

/** Calls everything, and says what came of it. */
async function tryAll(bent: Bent): Promise<Found[]> {
  const [lease] = await owner`select token from chat_reply_leases
    where message_id = ${victim.ids['STREAMING'] ?? ''}`;
  leaseToken = lease?.['token'] ?? randomUUID();
  let seen: unknown[] = [];
  const found: Found[] = [];
  for (const [name, call] of callsOf(bent.database((rows) => seen.push(rows)))) {
    seen = [];
    // The database may refuse, and a store stumble over rows of another form.
    const refusal = await Promise.resolve(call(bent.asked())).then(
      () => '',
      (error: unknown) => String((error as { code?: unknown }).code ?? error),
    );
    const text = JSON.stringify(seen, (_, value) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    // By now the intruder has a message of their own under this id.
    found.push({ name, refusal, traces: victim.tracesIn(text, victim.ids['COMPLETE']) });
  }
  return found;
}

describe('statements as another user', () => {
  it.for(BENT)('of the stores touch nothing, $what', async (bent, context) => {
    const before = await rowsOf(owner, victim.userId);
    const violations: string[] = [];
    let trials = 0;
    for (let round = 0; round < times(1, 20); round += 1) {
      for (const { name, refusal, traces } of await tryAll(bent)) {
        trials += 1;
        if (traces.length > 0) violations.push(`${name} found ${traces}`);
        // Of class 42, only insufficient_privilege: a statement that is wrong has proved nothing.
        if (/^(42(?!501)|2[26])/.test(refusal)) violations.push(`${name}: ${refusal}`);
      }
    }
    if ((await rowsOf(owner, victim.userId)) !== before)
      violations.push("the victim's rows are not as they were");
    report(context, 'database', { trials, of: `calls of a store ${bent.what}`, violations });
  });

  it('of anybody who writes SQL touch their own rows only', async (context) => {
    const before = await rowsOf(owner, victim.userId);
    const violations: string[] = [];
    let trials = 0;
    const attempt = async (statement: string, role: 'user' | 'worker' = 'user') => {
      trials += 1;
      const build = (db: QueryBuilder) => [db.execute(sql.raw(statement))] as const;
      const run =
        role === 'user'
          ? database.asUser({ sub: intruder.userId }, build)
          : database.asWorker(build);
      const [rows, code] = await run.then(
        ([rows]) => [rows, ''] as const,
        (error: unknown) => [[], String((error as { code?: unknown }).code ?? error)] as const,
      );
      const traces = victim.tracesIn(JSON.stringify(rows), victim.ids['COMPLETE']);
      if (traces.length > 0) violations.push(`${statement}: ${traces}`);
      return { rows, code };
    };
    const refused = async (statement: string, role: 'user' | 'worker' = 'user') => {
      const { code } = await attempt(statement, role);
      if (code !== '42501') violations.push(`${statement}: ${code || 'was done'}`);
    };

    const tables = await owner<{ name: string; columns: string[]; own: string }[]>`
      select c.oid::regclass::text as name, array_agg(quote_ident(attname) order by attnum) as columns,
        max(case when attname = 'user_id' then 'user_id' when c.relname = 'users' then 'id' end) as own
      from pg_class c join pg_attribute a on a.attrelid = c.oid and attnum > 0 and not attisdropped
      where relkind in ('r', 'p', 'v', 'm', 'f') and relnamespace::regnamespace::text in ('public', 'chatkeep', 'auth')
      group by c.oid order by 1`;
    for (const { name, columns, own } of tables) {
      await attempt(`select * from ${name}`);
      await attempt(`select ${columns} from ${name} where ${own} = '${victim.userId}'`);
      await attempt(
        `select count(*)::text || '|' from ${name} where ${own} <> '${intruder.userId}' having count(*) > 0`,
      ).then(({ rows }) => rows.length > 0 && violations.push(`${name}: others can be counted`));
      for (const column of columns) {
        await attempt(`update ${name} set ${column} = ${column} returning *`);
        await attempt(`update ${name} set ${own} = '${victim.userId}'`);
      }
      await attempt(`delete from ${name} where ${own} = '${victim.userId}' returning *`);
      await refused(`truncate ${name} cascade`);
      await refused(
        `create trigger peek before insert on ${name} execute function chatkeep.number_change()`,
      );
      await refused(`alter table ${name} disable row level security`);
      // A copy of a row of the victim's, as new as keys want it.
      const [row] = await owner.unsafe(
        `select to_jsonb(t)::text as row from ${name} t where ${own} = '${victim.userId}' limit 1`,
      );
      if (!row) {
        violations.push(`There is nothing in ${name} to be got at.`);
        continue;
      }
      const fresh = {
        ...JSON.parse(row['row']),
        id: randomUUID(),
        message_id: victim.ids['FAILED'],
        seq: 1,
      };
      const literal = JSON.stringify(fresh).replaceAll("'", "''");
      await refused(
        `insert into ${name} select (jsonb_populate_record(null::${name}, '${literal}')).* on conflict do nothing`,
      );
      if (name !== 'chat_reply_leases') await refused(`select 1 from ${name}`, 'worker');
    }
    const functions = await owner<{ name: string; types: string[]; isTrigger: boolean }[]>`
      select oid::regproc::text as name, prorettype = 'trigger'::regtype as "isTrigger",
        array(select t::regtype::text from unnest(proargtypes) t) as types
      from pg_proc where pronamespace::regnamespace::text in ('public', 'chatkeep', 'auth')`;
    for (const { name, types, isTrigger } of functions) {
      if (isTrigger) continue;
      const args = types.map((type) =>
        type === 'uuid' ? `'${victim.userId}'::uuid` : `'x'::${type}`,
      );
      await attempt(`select * from ${name}(${args})`);
    }
    if ((await rowsOf(owner, victim.userId)) !== before)
      violations.push("the victim's rows are not as they were");
    report(context, 'database', { trials, of: 'statements of anybody', violations });
  });

  it('would find everything, were row level security not there', async () => {
    await owner.unsafe(`
      do $$ declare t regclass; begin
        for t in select oid from pg_class where relname like 'chat\\_%' and relkind = 'r' loop
          execute format('alter table %s disable row level security', t);
        end loop;
      end $$`);
    const before = await rowsOf(owner, victim.userId);
    for (const bent of BENT) {
      const found = (await tryAll(bent)).filter(({ traces }) => traces.length > 0);
      // A search looks at the rows of auth.uid() by itself.
      const reads = [
        'page',
        'around',
        'seq',
        'claimed',
        'changes',
        'running',
        'trend',
        'turnsBefore',
      ];
      expect(found.map(({ name }) => name)).toEqual(expect.arrayContaining(reads));
    }
    expect(await rowsOf(owner, victim.userId)).not.toBe(before);
  });
});
