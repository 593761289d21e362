import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditDatabase } from '../src/db/audit.ts';
import { type Any, clientOf, failureOf, HISTORY, SEARCH, SEND, send } from './kit/client.ts';
import { createTestDatabase, type TestDatabase } from './kit/database.ts';
import { startServer, type TestServer } from './kit/server.ts';

const SECRET = 'a-secret-of-at-least-thirty-two-characters';

const tokenOf = (sub: string) =>
  new SignJWT({ sub, aud: 'authenticated', email: 'ada@example.org', role: 'authenticated' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(Buffer.from(SECRET));

/** An owner as hosted PostgreSQL gives one out: no superuser, and under row level security. */
async function hostedDatabase(
  prepare: (sql: postgres.Sql, owner: string) => Promise<unknown>,
): Promise<TestDatabase> {
  const { ownerUrl, url } = await createTestDatabase({ migrated: false });
  const name = `owner_${randomUUID().slice(0, 8)}`;
  const admin = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe(`
    create role ${name} login createrole password 'secret';
    grant authenticated, chatkeep_worker to ${name} with admin option;
    grant chatkeep_search to ${name} with admin true, inherit false, set false;
    alter schema public owner to ${name};
    grant create on database ${new URL(ownerUrl).pathname.slice(1)} to ${name};
  `);
  await prepare(admin, name);
  await admin.end();
  const asOwner = Object.assign(new URL(ownerUrl), { username: name, password: 'secret' });
  return { ownerUrl: asOwner.href, url };
}

describe("on Supabase's schema", () => {
  const ada = randomUUID();
  let database: TestDatabase;
  let server: TestServer;
  let admin: postgres.Sql;

  beforeAll(async () => {
    let superuserUrl = '';
    database = await hostedDatabase(async (sql, owner) => {
      const { host, port, user, pass, database: name } = sql.options as Any;
      superuserUrl = `postgres://${user}:${pass}@${host[0]}:${port[0]}/${name}`;
      // The part of Supabase's own set-up that matters here.
      await sql.unsafe(`
        do $$ begin create role anon nologin; exception when duplicate_object then null; end $$;
        create schema auth;
        create table auth.users (
          id uuid primary key, email varchar(255), encrypted_password varchar(255),
          created_at timestamptz, is_anonymous boolean not null default false
        );
        alter table auth.users enable row level security;
        create function auth.uid() returns uuid language sql stable as $$
          select coalesce(
            nullif(current_setting('request.jwt.claim.sub', true), ''),
            (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
          )::uuid
        $$;
        grant usage on schema auth to public;
        grant select, references on auth.users to public;
        create policy "as the dashboard's role sees it" on auth.users for select using (true);
        alter default privileges for role ${owner} in schema public grant all on tables to anon, authenticated;
        insert into auth.users (id, email, created_at) values ('${ada}', 'ada@example.org', now());
      `);
    });
    admin = postgres(superuserUrl, { max: 1, onnotice: () => {} });
    server = await startServer({
      env: {
        DATABASE_URL: database.url,
        MIGRATION_DATABASE_URL: database.ownerUrl,
        SUPABASE_JWT_SECRET: SECRET,
      },
    });
  });
  afterAll(async () => {
    await server.stop();
    await admin.end();
  });

  it('works for a user of Supabase', async () => {
    const me = clientOf(server, await tokenOf(ada));
    const { viewer } = await me.data<Any>('{ viewer { id email createdAt } }');
    expect(viewer).toMatchObject({ id: ada, email: 'ada@example.org' });
    const { id } = await send(me, 'hello from Supabase');
    expect((await me.data<Any>(HISTORY)).chatHistory.nodes[0].id).toBe(id);
    expect((await me.data<Any>(SEARCH, { query: 'supabase' })).searchChats.edges).toHaveLength(1);
    await me.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id });
  });

  it('turns away a good token whose user is gone, and adds nobody to auth.users', async () => {
    const gone = clientOf(server, await tokenOf(randomUUID()));
    expect(failureOf(await gone.ask('{ viewer { id } }'))).toBe('UNAUTHENTICATED');
    expect(failureOf(await gone.ask(SEND, { input: { message: 'hello' } }))).toBe(
      'UNAUTHENTICATED',
    );
    expect(
      failureOf(await clientOf(server).ask('mutation { signInAsGuest { accessToken } }')),
    ).toBe('CONFLICT');
    const [users] = await admin`select count(*)::int as n from auth.users`;
    expect(users).toEqual({ n: 1 });
  });

  it('leaves the auth schema as it was, and its tables closed to who is not signed in', async () => {
    const policies =
      await admin`select polname from pg_policy where polrelid = 'auth.users'::regclass`;
    expect(policies.map((row) => row['polname'])).toEqual(["as the dashboard's role sees it"]);
    const open = await admin`
      select table_name from information_schema.role_table_grants
      where grantee = 'anon' and table_name like 'chat\\_%'`;
    expect(open).toHaveLength(0);
    // Supabase's default privileges also give TRUNCATE to who is signed in, which no policy holds back.
    expect(await admin.begin(auditDatabase)).toEqual([]);
  });

  it('deletes everything with the account', async () => {
    const me = clientOf(server, await tokenOf(ada));
    await me.data('mutation { setPersonality(personality: { tone: "kind" }) { id } }');
    await send(me, 'to be forgotten');
    await admin`delete from auth.users where id = ${ada}`;
    const tables = await admin<{ name: string }[]>`
      select tablename as name from pg_tables where tablename like 'chat\\_%'`;
    expect(tables).toHaveLength(5);
    for (const { name: table } of tables) {
      const rows = await admin`select 1 from ${admin(table)} where user_id = ${ada}`;
      expect(rows, table).toHaveLength(0);
    }
  });
});

describe('on a hosted PostgreSQL whose owner is no superuser', () => {
  it('brings what Supabase would have brought, and works', async () => {
    const database = await hostedDatabase(async () => {});
    const server = await startServer({
      env: {
        DATABASE_URL: database.url,
        MIGRATION_DATABASE_URL: database.ownerUrl,
        SUPABASE_JWT_SECRET: SECRET,
      },
    });
    const me = clientOf(server, await tokenOf(randomUUID()));
    await send(me, 'hello');
    expect((await me.data<Any>(HISTORY)).chatHistory.nodes).toHaveLength(1);
    expect((await me.data<Any>('{ viewer { email } }')).viewer.email).toBe('ada@example.org');
    await server.stop();
  });

  it('works with one URL for everything, as the tables own owner', async () => {
    const database = await hostedDatabase(async () => {});
    const server = await startServer({
      env: {
        DATABASE_URL: `${database.ownerUrl}?pgbouncer=true`,
        MIGRATION_DATABASE_URL: '',
        SUPABASE_JWT_SECRET: SECRET,
      },
    });
    const me = clientOf(server, await tokenOf(randomUUID()));
    await send(me, 'hello');
    expect((await me.data<Any>(HISTORY)).chatHistory.nodes).toHaveLength(1);
    await server.stop();
  });
});
