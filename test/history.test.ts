import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Any, type Client, failureOf, HISTORY, send, signIn } from './kit/client.ts';
import { type Seed, seedAs } from './kit/seed.ts';
import { startServer, type TestServer } from './kit/server.ts';

let server: TestServer;
let admin: postgres.Sql;
let me: Client;

beforeAll(async () => {
  server = await startServer();
  admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await admin.end();
  await server.stop();
});
beforeEach(async () => {
  me = await signIn(server);
});

const seed = (client: Client, rows: readonly Seed[]) => seedAs(admin, client, rows);

async function pageThrough(client: Client, variables: object): Promise<string[]> {
  const ids: string[] = [];
  let after: string | null = null;
  for (;;) {
    const { chatHistory }: Any = await client.data(HISTORY, { ...variables, after });
    ids.push(...chatHistory.nodes.map((node: Any) => node.id));
    if (!chatHistory.pageInfo.hasNextPage) return ids;
    after = chatHistory.pageInfo.endCursor;
  }
}

describe('chatHistory', () => {
  it('is empty for a new user', async () => {
    const { chatHistory } = await me.data<Any>(HISTORY);
    expect(chatHistory).toEqual({
      nodes: [],
      edges: [],
      pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
    });
  });

  it('gives every exchange once, newest first, though all were made in the same instant', async () => {
    const created_at = '2026-05-01T12:00:00.123456Z';
    const ids = await seed(
      me,
      Array.from({ length: 25 }, () => ({ created_at })),
    );
    expect(await pageThrough(me, { first: 7 })).toEqual([...ids].sort().reverse());
  });

  it('shifts nothing on later pages while messages arrive', async () => {
    const ids = await seed(
      me,
      Array.from({ length: 10 }, () => ({})),
    );
    const { chatHistory: first } = await me.data<Any>(HISTORY, { first: 5 });
    await send(me, 'meanwhile');
    const { chatHistory: next } = await me.data<Any>(HISTORY, {
      first: 5,
      after: first.pageInfo.endCursor,
    });
    expect([...first.nodes, ...next.nodes].map((node: Any) => node.id)).toEqual(ids.reverse());
    expect(next.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
  });

  it('skips offset rows, counted from the newest or from after', async () => {
    const ids = (
      await seed(
        me,
        Array.from({ length: 6 }, () => ({})),
      )
    ).reverse();
    const at = async (variables: object) =>
      (await me.data<Any>(HISTORY, variables)).chatHistory.nodes.map((node: Any) => node.id);
    expect(await at({ first: 2, offset: 1 })).toEqual(ids.slice(1, 3));
    const { chatHistory } = await me.data<Any>(HISTORY, { first: 2 });
    const after = chatHistory.pageInfo.endCursor;
    expect(await at({ first: 2, offset: 2, after })).toEqual(ids.slice(4, 6));
    expect(await at({ offset: 100 })).toEqual([]);
  });

  it('takes null as not given', async () => {
    await seed(me, [{}]);
    const nothing = { first: null, after: null, offset: null, filter: null };
    const { chatHistory } = await me.data<Any>(HISTORY, nothing);
    expect(chatHistory.nodes).toHaveLength(1);
    const empty = { from: null, to: null, mood: null, hasPersonalityContext: null };
    expect((await me.data<Any>(HISTORY, { filter: empty })).chatHistory.nodes).toHaveLength(1);
  });

  it('filters by time (from <= createdAt < to), mood and personality, all at once', async () => {
    const [may, june, july] = (await seed(me, [
      { created_at: '2026-05-01T00:00:00Z', mood: 'NEGATIVE', personality_context: { a: 1 } },
      { created_at: '2026-06-01T00:00:00.0005Z', mood: 'POSITIVE' },
      { created_at: '2026-07-01T00:00:00Z', mood: 'POSITIVE', personality_context: { a: 1 } },
    ])) as [string, string, string];
    const ids = async (filter: object) =>
      (await me.data<Any>(HISTORY, { filter })).chatHistory.nodes.map((node: Any) => node.id);
    expect(await ids({ from: '2026-06-01T00:00:00.000Z' })).toEqual([july, june]);
    expect(await ids({ to: '2026-06-01T00:00:00.000Z' })).toEqual([may]);
    expect(await ids({ from: '2026-05-01T00:00:00Z', to: '2026-05-01T00:00:00Z' })).toEqual([]);
    expect(await ids({ mood: ['POSITIVE'] })).toEqual([july, june]);
    expect(await ids({ mood: [] })).toEqual([]);
    expect(await ids({ hasPersonalityContext: true })).toEqual([july, may]);
    expect(await ids({ hasPersonalityContext: false })).toEqual([june]);
    const all = { from: '2026-05-02T00:00:00Z', mood: ['POSITIVE'], hasPersonalityContext: true };
    expect(await ids(all)).toEqual([july]);
  });

  it('says createdAt in UTC with milliseconds', async () => {
    await seed(me, [{ created_at: '2026-05-01T12:00:00.123999+02' }]);
    const { chatHistory } = await me.data<Any>('{ chatHistory { nodes { createdAt } } }');
    expect(chatHistory.nodes).toEqual([{ createdAt: '2026-05-01T10:00:00.123Z' }]);
  });
});

describe('bad input to chatHistory', () => {
  it.each([
    [{ first: 0 }, 'BAD_USER_INPUT first'],
    [{ first: 101 }, 'BAD_USER_INPUT first'],
    [{ first: -1 }, 'BAD_USER_INPUT first'],
    [{ offset: -1 }, 'BAD_USER_INPUT offset'],
    [{ after: '' }, 'BAD_USER_INPUT after'],
    [{ after: 'x'.repeat(100_000) }, 'BAD_USER_INPUT after'],
    [
      { filter: { from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' } },
      'BAD_USER_INPUT filter.from',
    ],
    [{ filter: { from: 'yesterday' } }, 'BAD_USER_INPUT'],
    [{ filter: { from: '0000-01-01T00:00:00Z' } }, 'BAD_USER_INPUT filter.from'],
    [{ filter: { to: '9999-12-31T23:59:59-12:00' } }, 'BAD_USER_INPUT filter.to'],
    [{ filter: { mood: ['SAD'] } }, 'BAD_USER_INPUT'],
    [{ first: '10' }, 'BAD_USER_INPUT'],
  ])('%j gets %s', async (variables, failure) => {
    expect(failureOf(await me.ask(HISTORY, variables))).toBe(failure);
  });

  it('knows a cursor that was tampered with, wherever', async () => {
    await seed(me, [{}]);
    const { chatHistory } = await me.data<Any>(HISTORY);
    const cursor: string = chatHistory.pageInfo.endCursor;
    for (let at = 0; at < cursor.length; at += 1) {
      const other = cursor[at] === 'A' ? 'B' : 'A';
      const after = cursor.slice(0, at) + other + cursor.slice(at + 1);
      expect(failureOf(await me.ask(HISTORY, { after })), `at ${at}`).toBe('BAD_USER_INPUT after');
    }
    for (const after of [`${cursor}=`, ` ${cursor}`, cursor.slice(0, -1), `${cursor}A`]) {
      expect(failureOf(await me.ask(HISTORY, { after }))).toBe('BAD_USER_INPUT after');
    }
  });
});

describe('message', () => {
  it('gives one exchange, and null for what there is not', async () => {
    const { id } = await send(me, 'hello');
    const one = 'query ($id: ID!) { message(id: $id) { id message } }';
    expect(await me.data(one, { id })).toEqual({ message: { id, message: 'hello' } });
    expect(await me.data(one, { id: id.toUpperCase() })).toEqual({
      message: { id, message: 'hello' },
    });
    expect(await me.data(one, { id: randomUUID() })).toEqual({ message: null });
    expect(failureOf(await me.ask(one, { id: 'none' }))).toBe('BAD_USER_INPUT id');
  });
});
