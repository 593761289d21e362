import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createDatabase, type Database } from '../../src/db/database.ts';
import { Lane } from '../../src/db/lane.ts';
import { type Any, type Client, failureOf, HISTORY, SEARCH, SEND, signIn } from '../kit/client.ts';
import { times } from '../kit/promises.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { report } from '../kit/trials.ts';

/** Of each user: over HTTP, and straight on lanes. */
const WORKERS = { http: 3, lanes: 6 };

/**
 * Takes rows from anybody, and notes as whom they came: what is sent over another connection than it was
 * meant for comes as the login role.
 */
const WITNESS = `
  create table public.witness (
    unit uuid, meant_for uuid, role text default current_user,
    asker text default nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub');
  grant insert on public.witness to public`;

const whoAsks = sql`select current_user as role, auth.uid() as id`;
const othersRows = sql`select count(*)::int as n from chat_history where user_id <> auth.uid()`;
const fails = sql`select 1 / 0`;

/** Every lane that was ever opened, whoever opened it. */
const opened = vi.spyOn(Lane, 'open');

let server: TestServer;
/** Few lanes, so that two users follow each other on each of them all the time. */
let dense: Database;
let admin: postgres.Sql;

beforeAll(async () => {
  // In this process, so that its lanes can be looked at.
  server = await startServer({ env: { RATE_LIMIT_PER_MINUTE: '1000000' } });
  dense = createDatabase({ url: server.database.url, lanes: 3 });
  admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe(WITNESS);
});
afterAll(async () => {
  await dense?.close();
  await admin?.end();
  await server?.stop();
});

describe('backends that are terminated under two users', () => {
  it('let nobody see, or store, what is not their own, and leave clean lanes', {
    timeout: 900_000,
  }, async ({ task }) => {
    const trials = times(200, 10_000);
    const violations: string[] = [];
    const broken = (what: string, seen: unknown) => {
      violations.push(`${what}: ${JSON.stringify(seen)?.slice(0, 300)}`);
    };
    const users = [await signIn(server), await signIn(server)];
    const acknowledged = new Map<string, string>();
    const witnessed = new Set<string>();
    const count = { answered: 0, unavailable: 0 };
    let going = true;

    async function overHttp(me: Client): Promise<void> {
      const mine = ({ message }: { message: string }) => message.startsWith(me.userId);
      for (let n = 0; going; n += 1) {
        const id = randomUUID();
        const [query, variables] = [
          [SEND, { input: { id, message: `${me.userId} ${n}`, awaitReply: false } }],
          // Another page each time, which no cache has.
          [HISTORY, { first: 1 + (n % 20), filter: { from: new Date(n).toISOString() } }],
          [SEARCH, { query: String(n % 10), first: 10 }],
          ['{ viewer { id } }', {}],
        ][n % 4] as [string, object];
        const answer = await me.ask<Any>(query, variables);
        if (failureOf(answer) === 'SERVICE_UNAVAILABLE') {
          count.unavailable += 1;
          continue;
        }
        count.answered += 1;
        const { sendMessage, chatHistory, searchChats, viewer } = answer.data ?? {};
        const messages = [
          ...(sendMessage ? [sendMessage.message] : []),
          ...(chatHistory?.nodes ?? []),
          ...(searchChats?.edges ?? []).map(({ node }: Any) => node),
        ];
        if (answer.errors || !messages.every(mine)) broken('an answer', answer);
        if (viewer && viewer.id !== me.userId) broken('a viewer', answer);
        if (sendMessage) acknowledged.set(id, me.userId);
      }
    }

    async function onLanes(me: Client): Promise<void> {
      for (let n = 0; going; n += 1) {
        const unit = randomUUID();
        // Another text each time: the driver keeps each statement until the one before is described.
        const note = () =>
          sql`insert into public.witness (unit, meant_for)
            values (${unit}::uuid, ${me.userId}::uuid) ${sql.raw(`/* ${unit} */`)}`;
        // A lane is used again after a statement that failed, and never after its connection did.
        const last = n % 3 === 0 ? fails : othersRows;
        const asked = dense.asUser({ sub: me.userId }, (db) => [
          db.execute(whoAsks),
          db.execute(note()),
          db.execute(note()),
          db.execute(last),
        ]);
        await asked.then(
          ([[who], , , [others]]) => {
            count.answered += 1;
            witnessed.add(unit);
            const isMine = who?.['role'] === 'authenticated' && who['id'] === me.userId;
            if (!isMine || others?.['n'] !== 0) broken('a unit of work', { who, others });
          },
          ({ code, message }) => {
            if (code === 'SERVICE_UNAVAILABLE') count.unavailable += 1;
            else if (code !== '22012') broken('a unit of work failed', { code, message });
          },
        );
      }
    }

    const terminated = new Set<string>();
    const working = users.flatMap((me) => [
      ...Array.from({ length: WORKERS.http }, () => overHttp(me)),
      ...Array.from({ length: WORKERS.lanes }, () => onLanes(me)),
    ]);
    while (terminated.size < trials) {
      const { answered } = count;
      // Those at work first, and those last that have only just been opened.
      const ended = await admin<{ backend: string }[]>`
        select pid || ' ' || backend_start as backend from (
          select * from pg_stat_activity
          where datname = current_database() and application_name = 'chatkeep'
          order by query = 'select 1', state = 'idle', random() limit 3) as chosen
        where pg_terminate_backend(pid)`;
      for (const { backend } of ended) terminated.add(backend);
      // No more than the work allows: a lane that does nothing between two deaths shows nothing.
      while (count.answered < answered + ended.length) await sleep(1);
    }
    going = false;
    await Promise.all(working);

    expect(count.answered).toBeGreaterThan(trials);
    expect(count.unavailable).toBeGreaterThan(trials / 20);
    const rows = await admin<{ id: string; user_id: string; message: string }[]>`
      select id, user_id, message from chat_history`;
    const owners = new Map(rows.map((row) => [row.id, row.user_id]));
    for (const row of rows) if (!row.message.startsWith(row.user_id)) broken('a row', row);
    for (const [id, owner] of acknowledged) {
      if (owners.get(id) !== owner) broken('an acknowledged message', { id, owner });
    }
    const units = await admin<Witnessed[]>`
      select unit, count(*)::int as rows,
        bool_and(role = 'authenticated' and asker = meant_for::text) as own
      from public.witness group by unit`;
    for (const unit of units) {
      if (!unit.own || unit.rows !== 2) broken('a unit of work stored', unit);
      witnessed.delete(unit.unit);
    }
    for (const unit of witnessed) broken('a unit of work that succeeded is gone', { unit });
    for (const state of await statesOfLanes()) {
      const { role, claims, timeout } = state;
      if (role !== 'chatkeep' || claims !== '' || timeout !== '0') broken('a lane', state);
    }
    report({ task }, 'isolation', {
      trials: terminated.size,
      of: 'terminated backends',
      violations,
    });
  });
});

interface Witnessed {
  readonly unit: string;
  readonly rows: number;
  readonly own: boolean;
}

/** What each lane that is open has outside of any transaction. */
async function statesOfLanes() {
  // Some were at work for users since the last backend was terminated.
  await Promise.allSettled(
    Array.from({ length: 20 }, (_, n) =>
      dense.asUser({ sub: randomUUID() }, (db) => [db.execute(n % 2 ? fails : whoAsks)]),
    ),
  );
  const lanes = await Promise.all(
    opened.mock.settledResults.flatMap(({ type, value }) => (type === 'fulfilled' ? [value] : [])),
  );
  const open = lanes.filter((lane) => lane.isOpen);
  expect(open.length).toBeGreaterThan(2);
  const state = `select current_user as role, current_setting('statement_timeout') as timeout,
    coalesce(current_setting('request.jwt.claims', true), '') as claims`;
  const answers = await Promise.all(
    open.map((lane) =>
      lane.transaction([
        { sql: 'commit', params: [], rows: 'objects' },
        { sql: state, params: [], rows: 'objects' },
        { sql: 'begin', params: [], rows: 'objects' },
      ]),
    ),
  );
  return answers.map(([, rows]) => rows?.[0] as { role: string; claims: string; timeout: string });
}
