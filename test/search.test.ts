import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Any, type Client, failureOf, SEARCH, signIn } from './kit/client.ts';
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

async function seed(message: string, response = ''): Promise<string> {
  const id = randomUUID();
  await admin`insert into chat_history (user_id, id, message, response)
    values (${me.userId}, ${id}, ${message}, ${response})`;
  return id;
}

async function hits(query: string, more: object = {}): Promise<Any[]> {
  return (await me.data<Any>(SEARCH, { query, ...more })).searchChats.edges;
}

const messages = async (query: string) => (await hits(query)).map((edge) => edge.node.message);

/** The highlighted parts of a hit, as a client cuts them out. */
const marked = (edge: Any): string[] =>
  edge.highlights.map(({ field, start, end }: Any) =>
    (field === 'MESSAGE' ? edge.node.message : edge.node.response).slice(start, end),
  );

describe('searchChats', () => {
  it('finds every word, anywhere in either text, as a part of a word too', async () => {
    await seed('The weather in Lisbon', 'Sunny');
    await seed('Weather?', 'Rain in Lisbonne');
    await seed('Lisbon', 'A city');
    expect(await messages('weather LISBON')).toEqual(['Weather?', 'The weather in Lisbon']);
    expect(await messages('eathe isb')).toHaveLength(2);
    expect(await messages('weather snow')).toEqual([]);
  });

  it('finds a phrase between quotes only as it stands', async () => {
    await seed('red green blue');
    await seed('green red blue');
    expect(await messages('"red green"')).toEqual(['red green blue']);
    expect(await messages('blue "green red"')).toEqual(['green red blue']);
    expect(await messages('"green red')).toEqual(['green red blue']);
    expect(await messages('red" green')).toEqual(['red green blue']);
  });

  it('takes %, _ and \\ for themselves', async () => {
    for (const text of ['100%', '100', 'a_b', 'axb', 'c\\d', 'cd']) await seed(text);
    expect(await messages('100%')).toEqual(['100%']);
    expect(await messages('%')).toEqual(['100%']);
    expect(await messages('a_b')).toEqual(['a_b']);
    expect(await messages('_')).toEqual(['a_b']);
    expect(await messages('c\\d')).toEqual(['c\\d']);
    expect(await messages('\\')).toEqual(['c\\d']);
  });

  it.each([
    ['ÄPFEL', 'äpfel'],
    ['ΟΔΟΣ', 'οδος'],
    ['ПРИВЕТ', 'привет'],
    ['東京タワー', '京タ'],
    ['I 👩‍👩‍👧 you', '👩‍👩‍👧'],
    ['שלום עולם', 'עולם'],
    ['İstanbul', 'i̇stanbul'],
  ])('finds in %s: %s', async (text, query) => {
    await seed(text);
    expect(await messages(query)).toEqual([text]);
  });

  it('marks what it found in the text as it is, in UTF-16 units', async () => {
    await seed('👩‍👩‍👧 Foo bar FOO', 'a foo');
    const [edge] = await hits('foo');
    expect(marked(edge)).toEqual(['Foo', 'FOO', 'foo']);
    expect(edge.highlights[0]).toEqual({ field: 'MESSAGE', start: 9, end: 12 });
  });

  it('marks rightly behind letters that change their length when they are lowered', async () => {
    await seed('İİ𝒳 𐐀 then FOO');
    const [edge] = await hits('foo');
    expect(marked(edge)).toEqual(['FOO']);
    const [deseret] = await hits('𐐨');
    expect(marked(deseret)).toEqual(['𐐀']);
  });

  it('joins marks that overlap, and keeps them in order', async () => {
    await seed('abcdef abc');
    const [edge] = await hits('cde abcd');
    expect(marked(edge)).toEqual(['abcde']);
    const [both] = await hits('abc ef');
    expect(marked(both)).toEqual(['abc', 'ef', 'abc']);
  });

  it('pages by cursor, newest first, with the filters of the history', async () => {
    for (let i = 0; i < 5; i += 1) await seed(`note ${i}`);
    const { searchChats: first } = await me.data<Any>(SEARCH, { query: 'note', first: 3 });
    expect(first.edges.map((edge: Any) => edge.node.message)).toEqual([
      'note 4',
      'note 3',
      'note 2',
    ]);
    expect(first.pageInfo.hasNextPage).toBe(true);
    const after = first.pageInfo.endCursor;
    const { searchChats: rest } = await me.data<Any>(SEARCH, { query: 'note', first: 3, after });
    expect(rest.edges.map((edge: Any) => edge.node.message)).toEqual(['note 1', 'note 0']);
    expect(await hits('note', { filter: { mood: ['NEGATIVE'] } })).toEqual([]);
    expect(await hits('note', { filter: { to: '2020-01-01T00:00:00Z' } })).toEqual([]);
  });

  it.each([
    '%'.repeat(200),
    '((a+)+)$',
    '200 x '.repeat(33),
    '"',
    "'; drop table chat_history; --",
  ])('survives %s', async (query) => {
    await seed('hello');
    const answer = await me.ask<Any>(SEARCH, { query });
    expect(answer.errors?.[0]?.extensions.code ?? 'BAD_USER_INPUT').toBe('BAD_USER_INPUT');
    expect(answer.data?.searchChats.edges ?? []).toEqual([]);
  });
});

describe('bad input to searchChats', () => {
  it.each([
    ['', 'BAD_USER_INPUT query'],
    ['   ', 'BAD_USER_INPUT query'],
    ['""', 'BAD_USER_INPUT query'],
    ['x'.repeat(201), 'BAD_USER_INPUT query'],
    ['a\0b', 'BAD_USER_INPUT query'],
    ['\ud800', 'BAD_USER_INPUT query'],
  ])('%j gets %s', async (query, failure) => {
    expect(failureOf(await me.ask(SEARCH, { query }))).toBe(failure);
  });

  it('counts characters, not code units', async () => {
    expect((await me.ask(SEARCH, { query: '🙂'.repeat(200) })).errors).toBeUndefined();
  });

  it('checks first and after as the history does', async () => {
    expect(failureOf(await me.ask(SEARCH, { query: 'a', first: 0 }))).toBe('BAD_USER_INPUT first');
    expect(failureOf(await me.ask(SEARCH, { query: 'a', after: 'x' }))).toBe(
      'BAD_USER_INPUT after',
    );
  });
});
