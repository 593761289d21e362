import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Any, type Client, failureOf, HISTORY, send, signIn } from './kit/client.ts';
import { seedAs } from './kit/seed.ts';
import { startServer, type TestServer } from './kit/server.ts';

let server: TestServer;
let admin: postgres.Sql;
let me: Client;
/** Newest first; one a day from the 20th of May on, every second one in a good mood. */
let ids: string[];

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
  const days = Array.from({ length: 10 }, (_, i) => ({
    message: `day ${i}`,
    created_at: `2026-05-${20 + i}T12:00:00.123456Z`,
    mood: i % 2 === 0 ? 'POSITIVE' : 'NEUTRAL',
  }));
  ids = (await seedAs(admin, me, days)).reverse();
});

async function read(variables: object, client = me) {
  const { chatHistory } = await client.data<Any>(HISTORY, variables);
  const { hasPreviousPage, hasNextPage, startCursor, endCursor } = chatHistory.pageInfo;
  return {
    ids: chatHistory.nodes.map(({ id }: Any) => id),
    newer: hasPreviousPage,
    older: hasNextPage,
    startCursor,
    endCursor,
  };
}

const CURSOR = 'query ($id: ID!) { message(id: $id) { cursor } }';
const cursorOf = async (id: string | undefined, client = me): Promise<string> =>
  (await client.data<Any>(CURSOR, { id })).message.cursor;

describe('reading from the middle', () => {
  it('begins at a message, and goes on to both ends', async () => {
    const cursor = await cursorOf(ids[4]);
    expect(await read({ first: 3, after: cursor })).toMatchObject({
      ids: ids.slice(5, 8),
      newer: true,
      older: true,
    });
    const above = await read({ last: 3, before: cursor });
    expect(above).toMatchObject({ ids: ids.slice(1, 4), newer: true, older: true });
    const top = await read({ last: 3, before: above.startCursor });
    expect(top).toMatchObject({ ids: ids.slice(0, 1), newer: false, older: true });
    expect(await read({ last: 3, before: top.startCursor })).toMatchObject({
      ids: [],
      newer: false,
    });
    expect(await read({ last: 4, before: cursor })).toMatchObject({ newer: false });
  });

  it('begins at a date', async () => {
    const filter = { from: '2026-05-23T00:00:00Z' };
    const page = await read({ last: 2, filter });
    expect(page).toMatchObject({ ids: ids.slice(5, 7), newer: true, older: false });
    expect(await read({ last: 2, before: page.startCursor })).toMatchObject({
      ids: ids.slice(3, 5),
    });
    expect(await read({ first: 1, after: page.endCursor })).toMatchObject({ ids: [ids[7]] });
  });

  it('begins at the oldest', async () => {
    expect(await read({ last: 2 })).toMatchObject({ ids: ids.slice(8), newer: true, older: false });
    expect(await read({ last: 100 })).toMatchObject({ ids, newer: false, older: false });
  });

  it('keeps to the filter', async () => {
    const filter = { mood: ['POSITIVE'], to: '2026-05-28T00:00:00Z' };
    const good = ids.filter((_, i) => i % 2 === 1).slice(1);
    const oldest = await read({ last: 2, filter });
    expect(oldest).toMatchObject({ ids: good.slice(-2), newer: true });
    expect(await read({ last: 2, before: oldest.startCursor, filter })).toMatchObject({
      ids: good.slice(-4, -2),
      newer: false,
    });
  });

  it('gives every exchange once, though all were made in the same instant', async () => {
    const other = await signIn(server);
    const created_at = '2026-05-01T12:00:00.123456Z';
    const same = await seedAs(
      admin,
      other,
      Array.from({ length: 25 }, () => ({ created_at })),
    );
    const seen: string[] = [];
    let before: string | null = null;
    for (let newer = true; newer; ) {
      const page = await read({ last: 7, before }, other);
      seen.unshift(...page.ids);
      before = page.startCursor;
      newer = page.newer;
    }
    expect(seen).toEqual([...same].sort().reverse());
  });

  it('goes on where a message was deleted, and shows what has come since', async () => {
    const cursor = await cursorOf(ids[1]);
    await me.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id: ids[1] });
    const { id } = await send(me, 'news');
    expect(await read({ last: 5, before: cursor })).toMatchObject({ ids: [id, ids[0]] });
  });

  it('is cached like any other page', async () => {
    const variables = { last: 2, before: await cursorOf(ids[4]) };
    const [first, second] = [await me.ask(HISTORY, variables), await me.ask(HISTORY, variables)];
    expect(first.headers.get('cache-status')).toMatch(/stored$/);
    expect(second.headers.get('cache-status')).toBe('chatkeep; hit');
    expect(second.data).toEqual(first.data);
    expect((await read({ last: 3, before: variables.before })).ids).toHaveLength(3);
  });
});

describe('reading around a message', () => {
  it('has it in the middle, with cursors to both sides', async () => {
    const page = await read({ first: 5, around: ids[4] });
    expect(page).toMatchObject({ ids: ids.slice(2, 7), newer: true, older: true });
    const above = await read({ last: 2, before: page.startCursor });
    expect(above).toMatchObject({ ids: ids.slice(0, 2), newer: false });
    const below = await read({ first: 5, after: page.endCursor });
    expect(below).toMatchObject({ ids: ids.slice(7), older: false });
    expect(await read({ first: 4, around: ids[4]?.toUpperCase() })).toMatchObject({
      ids: ids.slice(3, 7),
    });
    expect(await read({ first: 1, around: ids[4] })).toMatchObject({
      ids: [ids[4]],
      newer: true,
      older: true,
    });
  });

  it('ends where the history ends', async () => {
    const newest = await read({ first: 5, around: ids[0] });
    expect(newest).toMatchObject({ ids: ids.slice(0, 3), newer: false, older: true });
    expect(await read({ first: 5, around: ids[2] })).toMatchObject({ newer: false, older: true });
    expect(await read({ first: 5, around: ids[7] })).toMatchObject({ newer: true, older: false });
    const oldest = await read({ first: 5, around: ids[9] });
    expect(oldest).toMatchObject({ ids: ids.slice(7), newer: true, older: false });
    expect(await read({ first: 100, around: ids[5] })).toMatchObject({
      ids,
      newer: false,
      older: false,
    });
    expect(await read({ around: ids[5], first: null })).toMatchObject({ ids });
  });

  it('keeps to the filter, in which the message has to be', async () => {
    const filter = { mood: ['POSITIVE'], to: '2026-05-28T00:00:00Z' };
    const good = ids.filter((_, i) => i % 2 === 1).slice(1);
    expect(await read({ first: 3, around: good[1], filter })).toMatchObject({
      ids: good.slice(0, 3),
      newer: false,
      older: true,
    });
    const failure = async (variables: object) => failureOf(await me.ask(HISTORY, variables));
    expect(await failure({ around: ids[4], filter })).toBe('NOT_FOUND');
    expect(await failure({ around: ids[1], filter })).toBe('NOT_FOUND');
  });

  it('gives those of the same instant by their ids', async () => {
    const other = await signIn(server);
    const created_at = '2026-05-01T12:00:00.123456Z';
    const rows = Array.from({ length: 9 }, () => ({ created_at }));
    const same = (await seedAs(admin, other, rows)).sort().reverse();
    const page = await read({ first: 5, around: same[4] }, other);
    expect(page).toMatchObject({ ids: same.slice(2, 7), newer: true, older: true });
  });

  it('is cached like any other page, and shows what was changed', async () => {
    const variables = { first: 5, around: ids[1] };
    const [first, second] = [
      await me.ask<Any>(HISTORY, variables),
      await me.ask(HISTORY, variables),
    ];
    expect(first.headers.get('cache-status')).toMatch(/stored$/);
    expect(second.headers.get('cache-status')).toBe('chatkeep; hit');
    expect(second.data).toEqual(first.data);
    expect((await read({ first: 5, around: ids[2] })).ids).not.toEqual(
      first.data.chatHistory.nodes.map(({ id }: Any) => id),
    );
    const { id } = await send(me, 'news');
    expect(await read(variables)).toMatchObject({
      ids: [id, ids[0], ...ids.slice(1, 4)].slice(0, 5),
    });
    await me.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id: ids[1] });
    expect(failureOf(await me.ask(HISTORY, variables))).toBe('NOT_FOUND');
  });

  it('finds none that there is not, or that is of somebody else', async () => {
    const other = await signIn(server);
    for (const around of [randomUUID(), (await send(other, 'theirs')).id]) {
      expect(failureOf(await me.ask(HISTORY, { around }))).toBe('NOT_FOUND');
    }
  });

  it('goes with first and filter alone', async () => {
    const cursor = await cursorOf(ids[4]);
    for (const [more, failure] of [
      [{ around: 'nonsense' }, 'BAD_USER_INPUT around'],
      [{ around: '' }, 'BAD_USER_INPUT around'],
      [{ first: 0 }, 'BAD_USER_INPUT first'],
      [{ first: 101 }, 'BAD_USER_INPUT first'],
      [{ after: cursor }, 'BAD_USER_INPUT around'],
      [{ before: cursor }, 'BAD_USER_INPUT around'],
      [{ last: 3 }, 'BAD_USER_INPUT around'],
      [{ offset: 1 }, 'BAD_USER_INPUT around'],
    ] as const) {
      const answer = await me.ask(HISTORY, { around: ids[4], ...more });
      expect(failureOf(answer), JSON.stringify(more)).toBe(failure);
    }
  });
});

describe('ChatMessage.cursor', () => {
  it('is that of its edge, wherever the message is read', async () => {
    const sent = await me.data<Any>(
      'mutation { sendMessage(input: { message: "hello" }) { message { id cursor } } }',
    );
    const { cursor, id } = sent.sendMessage.message;
    const both = `{ chatHistory { edges { cursor node { id cursor } } }
      searchChats(query: "hello") { edges { cursor node { id cursor } } } }`;
    const { chatHistory, searchChats } = await me.data<Any>(both);
    expect(chatHistory.edges).toHaveLength(11);
    for (const edge of [...chatHistory.edges, ...searchChats.edges]) {
      expect(edge.node.cursor).toBe(edge.cursor);
    }
    expect(chatHistory.edges[0]).toEqual({ cursor, node: { id, cursor } });
    expect(await cursorOf(id)).toBe(cursor);
  });
});

describe('bad input to reading backwards', () => {
  it.each([
    [{ last: 0 }, 'BAD_USER_INPUT last'],
    [{ last: 101 }, 'BAD_USER_INPUT last'],
    [{ last: 2, first: 3 }, 'BAD_USER_INPUT last'],
    [{ last: 2, offset: 1 }, 'BAD_USER_INPUT last'],
    [{ last: 2, before: '' }, 'BAD_USER_INPUT before'],
    [{ last: 2, before: 'x'.repeat(100_000) }, 'BAD_USER_INPUT before'],
    [{ last: 2, filter: { from: '0000-01-01T00:00:00Z' } }, 'BAD_USER_INPUT filter.from'],
  ])('%j gets %s', async (variables, failure) => {
    expect(failureOf(await me.ask(HISTORY, variables))).toBe(failure);
  });

  it('refuses cursors that do not fit', async () => {
    const cursor = await cursorOf(ids[4]);
    const failure = async (variables: object) => failureOf(await me.ask(HISTORY, variables));
    expect(await failure({ before: cursor })).toBe('BAD_USER_INPUT before');
    expect(await failure({ first: 2, before: cursor })).toBe('BAD_USER_INPUT before');
    expect(await failure({ last: 2, after: cursor })).toBe('BAD_USER_INPUT last');
    const stranger = await signIn(server);
    const theirs = await cursorOf((await send(stranger, 'hello')).id, stranger);
    expect(await failure({ last: 2, before: theirs })).toBe('BAD_USER_INPUT before');
    const change = await me.data<Any>('{ chatHistory { eventsCursor } }');
    expect(await failure({ last: 2, before: change.chatHistory.eventsCursor })).toBe(
      'BAD_USER_INPUT before',
    );
  });
});
