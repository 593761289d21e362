import { randomUUID } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { sql } from 'drizzle-orm';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type Database } from '../src/db/database.ts';
import { Lane } from '../src/db/lane.ts';
import { createMessageStore } from '../src/db/messages.ts';
import { createReplyStore } from '../src/db/replies.ts';
import { ExpectedError } from '../src/errors.ts';
import { createTestDatabase, directUrlOf, type TestDatabase } from './kit/database.ts';
import { startGate } from './kit/gate.ts';

let urls: TestDatabase;
let directUrl: string;
let database: Database;
let admin: postgres.Sql;

beforeAll(async () => {
  urls = await createTestDatabase();
  directUrl = directUrlOf(urls);
  database = createDatabase({ url: urls.url, lanes: 4 });
  admin = postgres(urls.ownerUrl, { max: 1, onnotice: () => {} });
});

afterAll(async () => {
  await database.close();
  await admin.end();
});

const openLane = (url: string) => Lane.open({ url, prepare: true, connectTimeoutMs: 2_000 });

const who = sql`select current_user as role, auth.uid() as id, pg_backend_pid() as pid`;

const newMessage = (message: string) => ({
  id: randomUUID(),
  message,
  personalityContext: null,
  mood: 'NEUTRAL' as const,
  moodScore: 0,
  token: randomUUID(),
  leaseMs: 60_000,
});

describe.each([
  { how: 'prepared', search: '' },
  { how: 'for a transaction pooler', search: '?pgbouncer=true' },
])('a unit of work, $how', ({ search }) => {
  let database: Database;
  beforeAll(() => {
    database = createDatabase({ url: directUrl + search, lanes: 4 });
  });
  afterAll(() => database.close());

  it('is one transaction as the user it is for', async () => {
    const me = randomUUID();
    const [first, second] = await database.asUser({ sub: me }, (db) => [
      db.execute(
        sql`select pg_current_xact_id()::text as tx, current_user as role, auth.uid() as id`,
      ),
      db.execute(
        sql`select pg_current_xact_id()::text as tx, current_user as role, auth.uid() as id`,
      ),
    ]);
    expect(first[0]).toMatchObject({ role: 'authenticated', id: me });
    expect(second).toEqual(first);
  });

  it('keeps the order of its queries, whatever kind they are', async () => {
    const me = { sub: randomUUID() };
    const messages = createMessageStore(database);
    const inserted = await Promise.all(
      Array.from({ length: 50 }, (_, i) => messages.insert(me, newMessage(`${i}`))),
    );
    const numbers = new Map(
      inserted.flatMap((stored) => ('row' in stored ? [[stored.row.id, stored.row.seq]] : [])),
    );
    const { rows, seq } = await messages.page(me, { size: 100, towards: 'older' });
    expect(seq).toBe(50n);
    // Newest first by time is highest first by number, though fifty were sent at once.
    expect(rows.map(({ id }) => numbers.get(id))).toEqual(
      Array.from({ length: 50 }, (_, i) => BigInt(50 - i)),
    );
  });

  it('stores nothing when one of its statements fails, and leaves the lane clean', async () => {
    const me = { sub: randomUUID() };
    const failing = database.asUser(me, (db) => [
      db.execute(sql`select chatkeep.open_history()`),
      db.execute(sql`select 1 / 0`),
    ]);
    await expect(failing).rejects.toMatchObject({ code: '22012' });
    expect(await createMessageStore(database).seq(me)).toBe(0n);
    const [counters] =
      await admin`select count(*)::int from chat_counters where user_id = ${me.sub}`;
    expect(counters).toEqual({ count: 0 });
  });

  it('refuses a query that cannot be built, without taking a lane', async () => {
    const broken = database.asUser({ sub: randomUUID() }, (db) => [
      db.execute(sql`select ${{ toString: null } as never}`),
    ]);
    await expect(broken).rejects.toThrow();
    expect(await database.ping()).toBe(true);
  });

  it('can see nothing without a user, and texts not at all as a worker', async () => {
    const lane = await openLane(directUrl);
    const raw = lane.transaction([
      { sql: 'select * from chat_history', params: [], rows: 'arrays' },
    ]);
    await expect(raw).rejects.toThrow(/permission denied/);
    await lane.close();
    const asWorker = database.asWorker((db) => [db.execute(sql`select * from chat_history`)]);
    await expect(asWorker).rejects.toThrow(/permission denied/);
  });
});

describe('when backends die', () => {
  it('no unit of work hangs, crosses users or is half done', { timeout: 120_000 }, async () => {
    const users = [randomUUID(), randomUUID()] as const;
    let killing = true;
    let killed = 0;
    const killer = (async () => {
      while (killing) {
        const rows = await admin`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and usename = 'chatkeep' limit 2`;
        killed += rows.length;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();

    const seen = { own: 0, foreign: 0, unavailable: 0, other: [] as unknown[] };
    const stored = new Map<string, string>();
    const messages = createMessageStore(database);
    await Promise.all(
      Array.from({ length: 8 }, async (_, worker) => {
        const me = users[worker % 2] as string;
        for (let round = 0; round < 150; round += 1) {
          const message = newMessage(`${me} ${round}`);
          try {
            const [identity] = await database.asUser({ sub: me }, (db) => [db.execute(who)]);
            if (identity[0]?.['id'] === me) seen.own += 1;
            else seen.foreign += 1;
            await messages.insert({ sub: me }, message);
            stored.set(message.id, me);
          } catch (error) {
            const expected = error instanceof ExpectedError && error.code === 'SERVICE_UNAVAILABLE';
            if (expected) seen.unavailable += 1;
            else seen.other.push(error);
          }
        }
      }),
    );
    killing = false;
    await killer;

    expect(killed).toBeGreaterThan(50);
    expect(seen.unavailable).toBeGreaterThan(0);
    expect(seen).toMatchObject({ foreign: 0, other: [] });
    const rows = await admin<{ id: string; user_id: string; message: string }[]>`
      select id, user_id, message from chat_history where user_id = any(${users as never})`;
    const owners = new Map(rows.map((row) => [row.id, row.user_id]));
    for (const [id, owner] of stored) expect(owners.get(id)).toBe(owner);
    for (const row of rows) expect(row.message.startsWith(row.user_id)).toBe(true);
    // Without gaps, though transactions were cut down in the middle.
    const gaps = await admin`
      select user_id from chat_history where user_id = any(${users as never})
      group by user_id having count(*) <> max(seq)`;
    expect(gaps).toHaveLength(0);
  });

  it('a lane that lost its connection never opens another one', async () => {
    const lane = await openLane(directUrl);
    const [rows] = await lane.transaction([
      { sql: 'select pg_backend_pid() as pid', params: [], rows: 'objects' },
    ]);
    const pid = (rows?.[0] as { pid: number } | undefined)?.pid ?? 0;
    const inFlight = lane.transaction([
      { sql: 'select pg_sleep($1)', params: ['10'], rows: 'arrays' },
      { sql: 'select pg_backend_pid()', params: [], rows: 'arrays' },
    ]);
    const lost = expect(inFlight).rejects.toThrow();
    await admin`select pg_terminate_backend(${pid})`;
    await lost;
    expect(lane.isOpen).toBe(false);
    const after = lane.transaction([{ sql: 'select 1', params: [], rows: 'arrays' }]);
    await expect(after).rejects.toThrow();
    lane.destroy();
  });

  it('sends nothing of a transaction over another connection', async () => {
    const gate = await startGate(directUrl);
    const lane = await openLane(gate.url);
    // The second one waits in the driver until the first has been described.
    const cut = lane.transaction([
      { sql: 'select pg_sleep($1)', params: ['60'], rows: 'arrays' },
      { sql: 'select $1::text', params: ['meant for that transaction'], rows: 'arrays' },
    ]);
    const lost = expect(cut).rejects.toThrow();
    await expect
      .poll(
        async () =>
          (await admin`select 1 from pg_stat_activity where query ~ '^select pg_sleep'`).length,
      )
      .toBe(1);
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where query ~ '^select pg_sleep'`;
    await lost;
    // Time enough for the driver to connect again, if it did.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(gate.connections).toBe(1);
    gate.close();
  });

  it('lets no late progress undo the end of a reply', async () => {
    const messages = createMessageStore(database);
    const me = { sub: randomUUID() };
    const message = newMessage('hello');
    await messages.insert(me, message);
    const ending = postgres(urls.ownerUrl, { max: 1, onnotice: () => {} });
    await ending.unsafe('begin');
    await ending`update chat_history set status = 'COMPLETE', response = 'all of it' where id = ${message.id}`;
    await ending`delete from chat_reply_leases where message_id = ${message.id}`;
    const progress = createReplyStore(database).progress(
      me,
      message.id,
      message.token,
      'half of it',
    );
    await expect
      .poll(async () => (await admin`select 1 from pg_locks where not granted`).length)
      .toBeGreaterThan(0);
    await ending.unsafe('commit');
    expect(await progress).toBe(false);
    expect(await messages.find(me, message.id)).toMatchObject({ response: 'all of it' });
    await ending.end();
  });

  it('leaves no role and no claims behind on a lane', async () => {
    const lane = await openLane(directUrl);
    const claims = JSON.stringify({ sub: randomUUID() });
    for (const end of ['select 1', 'select 1 / 0']) {
      await lane
        .transaction([
          {
            sql: `select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`,
            params: [claims],
            rows: 'arrays',
          },
          { sql: end, params: [], rows: 'arrays' },
        ])
        .catch(() => {});
      const [rows] = await lane.transaction([
        {
          sql: `select current_user as role, current_setting('request.jwt.claims', true) as claims`,
          params: [],
          rows: 'objects',
        },
      ]);
      expect(rows).toEqual([{ role: 'chatkeep', claims: '' }]);
    }
    await lane.close();
  });
});

describe('when PostgreSQL does not answer', () => {
  /** Takes connections and says nothing. */
  async function blackHole(): Promise<{ port: number; close(): void }> {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket.on('error', () => {})));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const close = () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    };
    return { port: (server.address() as AddressInfo).port, close };
  }

  it.each(['refuses', 'is silent'])('says so when it %s', async (how) => {
    const hole = how === 'is silent' ? await blackHole() : { port: 1, close() {} };
    const away = createDatabase({
      url: `postgres://chatkeep@127.0.0.1:${hole.port}/none`,
      timeoutMs: 300,
    });
    const asked = away.asUser({ sub: randomUUID() }, (db) => [db.execute(who)]);
    await expect(asked).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect(await away.ping()).toBe(false);
    await away.close();
    hole.close();
  });

  it('gives up on a statement that takes too long, and goes on with the next', async () => {
    const impatient = createDatabase({ url: urls.url, lanes: 1, timeoutMs: 300 });
    const me = { sub: randomUUID() };
    const slow = impatient.asUser(me, (db) => [db.execute(sql`select pg_sleep(60)`)]);
    await expect(slow).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    const [rows] = await impatient.asUser(me, (db) => [db.execute(who)]);
    expect(rows[0]).toMatchObject({ id: me.sub });
    await impatient.close();
  });

  it('holds nothing for longer than its time, should its process be frozen in the middle', async () => {
    const [rows] = await database.asUser({ sub: randomUUID() }, (db) => [
      db.execute(sql`select current_setting('idle_in_transaction_session_timeout') as idle,
        current_setting('transaction_timeout', true) as whole,
        current_setting('server_version_num')::int >= 170000 as "has17"`),
    ]);
    const { has17, idle, whole } = rows[0] as {
      has17: boolean;
      idle: string;
      whole: string | null;
    };
    expect([idle, whole]).toEqual(['3s', has17 ? '4s' : null]);
  });
});
