import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLOutputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
} from 'graphql';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase } from '../src/db/database.ts';
import { schema } from '../src/schema/index.ts';
import { type Any, type Client, HISTORY, SEARCH, send, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';
import { collect, connect, subscribed } from './kit/subscriptions.ts';

const CANARY = 'zanzibar-canary';

let server: TestServer;
let admin: postgres.Sql;
let victim: Client;
let intruder: Client;
let theirs: Any;
let cursor: string;

beforeAll(async () => {
  server = await startServer();
  admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
  victim = await signIn(server);
  intruder = await signIn(server);
  await victim.data('mutation ($p: JSON) { setPersonality(personality: $p) { id } }', {
    p: { secret: CANARY },
  });
  theirs = await send(victim, `my secret is ${CANARY}`);
  cursor = (await victim.data<Any>(HISTORY)).chatHistory.pageInfo.endCursor;
});
afterAll(async () => {
  await admin.end();
  await server.stop();
});

/** A value for an argument; wherever an id or a cursor fits, the victim's. */
function argumentFor(name: string, type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return argumentFor(name, type.ofType);
  if (isListType(type)) return [argumentFor(name, type.ofType)];
  if (isInputObjectType(type)) {
    return Object.fromEntries(
      Object.values(type.getFields()).map((field) => [
        field.name,
        argumentFor(field.name, field.type),
      ]),
    );
  }
  const leaf = getNamedType(type);
  const named = leaf.name;
  if (isEnumType(leaf)) return leaf.getValues()[0]?.name;
  if (named === 'ID') return theirs.id;
  if (named === 'Int') return 1;
  if (named === 'Boolean') return true;
  if (named === 'DateTime')
    return name === 'from' ? '2000-01-01T00:00:00Z' : '2100-01-01T00:00:00Z';
  if (named === 'Date') return name === 'from' ? '2026-01-01' : '2027-01-01';
  if (named === 'JSON') return {};
  if (/after|before|cursor/.test(name)) return cursor;
  if (name === 'timeZone') return 'Europe/Berlin';
  return name === 'message' ? 'intruding' : CANARY;
}

/** All that can be selected below a type. */
function selectionOf(type: GraphQLOutputType): string {
  const named = getNamedType(type);
  if (isUnionType(named)) {
    const each = named.getTypes().map((member) => `... on ${member.name}${selectionOf(member)}`);
    return ` { __typename ${each.join(' ')} }`;
  }
  if (!isObjectType(named)) return '';
  const inner = Object.values(named.getFields()).map(
    (field) => field.name + selectionOf(field.type),
  );
  return ` { ${inner.join(' ')} }`;
}

function operation(
  kind: string,
  field: GraphQLField<unknown, unknown>,
  args: readonly GraphQLArgument[],
) {
  const heads = args.map((arg) => `$${arg.name}: ${arg.type}`).join(', ');
  const passed = args.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  const document = `${kind} X${heads && `(${heads})`} { ${field.name}${passed && `(${passed})`}${selectionOf(field.type)} }`;
  const variables = Object.fromEntries(
    args.map((arg) => [arg.name, argumentFor(arg.name, arg.type)]),
  );
  return { document, variables };
}

const operations = (['query', 'mutation'] as const).flatMap((kind) => {
  const root = kind === 'query' ? schema.getQueryType() : schema.getMutationType();
  return Object.values(root?.getFields() ?? {}).map((field) => ({ kind, field, name: field.name }));
});

describe("every operation with another user's ids and cursors", () => {
  it.each(operations)('$kind $name crosses nothing', async ({ kind, field }) => {
    // All arguments, and each alone beside those that are required.
    const required = field.args.filter((arg) => isNonNullType(arg.type));
    const choices = [
      field.args,
      required,
      ...field.args.map((arg) => [...new Set([...required, arg])]),
    ];
    for (const args of choices) {
      const { document, variables } = operation(kind, field, args);
      const answer = await intruder.ask(document, variables);
      const codes = answer.errors?.map(({ extensions }) => extensions.code) ?? [];
      expect(codes).not.toContain('GRAPHQL_VALIDATION_FAILED');
      expect(codes).not.toContain('INTERNAL_SERVER_ERROR');
      expect(JSON.stringify(answer.data ?? null)).not.toContain(CANARY);
      expect(JSON.stringify(answer)).not.toContain(victim.userId);
    }
    const { message } = await victim.data<Any>(
      'query ($id: ID!) { message(id: $id) { id message response status updatedAt } }',
      { id: theirs.id },
    );
    expect(message).toMatchObject({
      message: theirs.message,
      response: theirs.response,
      status: 'COMPLETE',
      updatedAt: theirs.updatedAt,
    });
    const { viewer } = await victim.data<Any>('{ viewer { personality } }');
    expect(viewer.personality).toEqual({ secret: CANARY });
  });

  it('caches a page for the one who asked only', async () => {
    const query = { query: CANARY };
    expect((await victim.data<Any>(SEARCH, query)).searchChats.edges).toHaveLength(1);
    expect((await intruder.data<Any>(SEARCH, query)).searchChats.edges).toHaveLength(0);
    expect((await victim.data<Any>(SEARCH, query)).searchChats.edges).toHaveLength(1);
  });

  it.each(Object.values(schema.getSubscriptionType()?.getFields() ?? {}))(
    'subscription $name tells nothing',
    async (field) => {
      for (const args of [[], field.args]) {
        const { document, variables } = operation('subscription', field, args);
        const mine = collect(
          connect(server, victim.token),
          operation('subscription', field, []).document,
        );
        const foreign = collect(connect(server, intruder.token), document, variables);
        await subscribed(server, args.length > 0 ? 1 : 2);
        await send(victim, `another secret: ${CANARY}`);
        await mine.first((value) => JSON.stringify(value).includes(CANARY));
        // What comes to the intruder comes after whatever had leaked.
        await send(intruder, 'of my own');
        if (args.length === 0) {
          await foreign.first((value) => JSON.stringify(value).includes('of my own'));
        } else
          expect(await foreign.nth(1)).toMatchObject({
            errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
          });
        expect(JSON.stringify(foreign.values)).not.toContain(CANARY);
        expect(JSON.stringify(foreign.values)).not.toContain(victim.userId);
        mine.stop();
        foreign.stop();
        await subscribed(server, 0);
      }
    },
  );
});

describe('the database itself', () => {
  it("refuses another user's rows to whoever has their own claims, whatever the query", async () => {
    const database = createDatabase({ url: server.database.url });
    const me = { sub: intruder.userId };
    const statements = {
      read: sql`select * from chat_history where message like ${`%${CANARY}%`}`,
      readLeases: sql`select * from chat_reply_leases`,
      readCounters: sql`select * from chat_counters where user_id = ${victim.userId}`,
      readPersonalities: sql`select * from chat_personalities where user_id = ${victim.userId}`,
      updatePersonalities: sql`update chat_personalities set personality = '{}' where user_id = ${victim.userId} returning user_id`,
      readUsers: sql`select * from auth.users where id = ${victim.userId}`,
      update: sql`update chat_history set message = 'x' where user_id = ${victim.userId} returning 1`,
      delete: sql`delete from chat_history where user_id = ${victim.userId} returning 1`,
      deleteTombstones: sql`delete from chat_deletions where user_id = ${victim.userId} returning 1`,
    };
    for (const [what, statement] of Object.entries(statements)) {
      const [rows] = await database
        .asUser(me, (db) => [db.execute(statement)])
        .catch((error) => {
          expect(error.code, what).toBe('42501');
          return [[]];
        });
      expect(
        rows.filter((row) => JSON.stringify(row).includes(victim.userId)),
        what,
      ).toEqual([]);
    }
    const intrusions = [
      sql`insert into chat_history (user_id, id, message) values (${victim.userId}, ${randomUUID()}, 'x')`,
      sql`insert into chat_counters (user_id) values (${victim.userId})
        on conflict (user_id) do update set seq = 0`,
      sql`insert into chat_deletions (user_id, id, seq) values (${victim.userId}, ${randomUUID()}, 99)`,
      sql`insert into chat_personalities (user_id, personality) values (${victim.userId}, '{}')
        on conflict (user_id) do update set personality = '{}'`,
      sql`insert into auth.users (id) values (${randomUUID()})`,
    ];
    for (const statement of intrusions) {
      const tried = database.asUser(me, (db) => [db.execute(statement)]);
      await expect(tried).rejects.toMatchObject({ code: '42501' });
    }
    await database.close();
  });

  it('forces row level security on every table, with a policy for every operation', async () => {
    const tables = await admin<{ name: string; secure: boolean; kinds: string[] }[]>`
      select c.oid::regclass::text as name, c.relrowsecurity and c.relforcerowsecurity as secure,
        array(
          select distinct polcmd::text from pg_policy p
          where p.polrelid = c.oid and not pg_has_role('chatkeep_worker', p.polroles[1], 'member')
        ) as kinds
      from pg_class c
      where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text in ('public', 'auth', 'chatkeep')`;
    expect(tables.length).toBeGreaterThanOrEqual(6);
    for (const table of tables) {
      expect(table, table.name).toMatchObject({ secure: true });
      expect(table.kinds.toSorted().join(''), table.name).toBe('adrw');
    }
  });

  it('has no view that goes round it, and no open search path in a function with rights', async () => {
    const views = await admin`
      select oid::regclass from pg_class
      where relkind in ('v', 'm') and relnamespace::regnamespace::text in ('public', 'chatkeep')`;
    expect(views).toHaveLength(0);
    const functions = await admin<{ name: string; config: string[] | null }[]>`
      select oid::regprocedure::text as name, proconfig as config from pg_proc
      where prosecdef and pronamespace::regnamespace::text in ('public', 'auth', 'chatkeep')`;
    for (const { name, config } of functions) expect(config, name).toContain('search_path=""');
  });

  it('gives the login role nothing of its own, nor the right to go round it', async () => {
    const [role] =
      await admin`select rolsuper, rolbypassrls, rolinherit from pg_roles where rolname = 'chatkeep'`;
    expect(role).toEqual({ rolsuper: false, rolbypassrls: false, rolinherit: false });
    const [grants] = await admin`
      select count(*)::int as n from information_schema.role_table_grants where grantee in ('chatkeep', 'PUBLIC')
      and table_schema in ('public', 'auth')`;
    expect(grants).toEqual({ n: 0 });
  });
});
