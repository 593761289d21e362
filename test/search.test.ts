import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Any, type Client, failureOf, SEARCH, signIn } from './kit/client.ts';
import { seedAs } from './kit/seed.ts';
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
    ['İstanbul', 'istanbul'],
    ['a Café', 'CAFE'],
    ['cafe', 'café'],
    ['cafe\u0301', 'Café'],
    ['ＡＢＣ', 'abc'],
    ['ｶﾞﾗｽ', 'ガラス'],
    ['a ﬁne day', 'fine'],
    ['שָׁלוֹם', 'שלום'],
    ['ご飯を食べた', '飯を'],
    ['❤️', '❤'],
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

  it('leaves out what stands behind a minus, in either text', async () => {
    await seed('tea with milk');
    await seed('tea', 'with lemon');
    await seed('tea alone');
    expect(await messages('tea -milk')).toEqual(['tea alone', 'tea']);
    expect(await messages('tea -MILK -"with lemon"')).toEqual(['tea alone']);
    expect(await messages('-tea')).toEqual([]);
    expect(await messages('-"with" -"')).toEqual(['tea alone']);
  });

  it('looks only in the text that it is told to, and marks it there', async () => {
    await seed('the sea', 'the lake');
    await seed('the lake', 'the sea');
    expect(await messages('sea from:me')).toEqual(['the sea']);
    expect(await messages('From:reply sea')).toEqual(['the lake']);
    expect(await messages('sea lake from:me')).toEqual([]);
    expect(await messages('sea from:me from:reply')).toHaveLength(2);
    expect(await messages('from:me -lake')).toEqual([]);
    const [edge] = await hits('the from:reply');
    expect(edge.highlights).toEqual([{ field: 'RESPONSE', start: 0, end: 3 }]);
  });

  it('narrows by days, moods and personality, in the query as in the filter, and both at once', async () => {
    const seeds = [
      { message: 'may', created_at: '2026-05-31T23:59:59.999Z', mood: 'NEGATIVE' },
      { message: 'june 1', created_at: '2026-06-01T00:00:00Z', personality_context: { a: 1 } },
      { message: 'june 1, late', created_at: '2026-06-01T23:59:59.999999Z', mood: 'POSITIVE' },
      { message: 'june 2', created_at: '2026-06-02T00:00:00Z', mood: 'NEGATIVE' },
    ];
    await seedAs(admin, me, seeds);
    const [may, june, late, next] = seeds.map(({ message }) => message);
    for (const [query, found] of [
      ['before:2026-06-01', [may]],
      ['on:2026-06-01', [late, june]],
      ['after:2026-06-01', [next]],
      ['on:2026-06', [next, late, june]],
      ['after:2026-05 june before:2026-06-02', [late, june]],
      ['mood:negative', [next, may]],
      ['mood:negative MOOD:Positive', [next, late, may]],
      ['-mood:neutral on:2026-06-01', [late]],
      ['has:personality', [june]],
      ['-has:personality -late', [next, may]],
      ['has:personality -has:personality', []],
      ['mood:fine', []],
    ] as const) {
      expect(await messages(query), query).toEqual(found);
    }
    const filter = { from: '2026-06-01T12:00:00Z', mood: ['NEGATIVE', 'POSITIVE'] };
    const narrowed = async (query: string, more: object) =>
      (await hits(query, { filter: more })).map((edge) => edge.node.message);
    expect(await narrowed('on:2026-06-01', filter)).toEqual([late]);
    expect(await narrowed('after:2020 mood:negative', filter)).toEqual([next]);
    expect(await narrowed('mood:neutral', filter)).toEqual([]);
    expect(await narrowed('has:personality', { hasPersonalityContext: false })).toEqual([]);
    expect(await narrowed('before:2026-06-02', { to: '2026-06-01T00:00:00Z' })).toEqual([may]);
    expect(await narrowed('after:2026-06-01', { to: '2026-06-01T00:00:00Z' })).toEqual([]);
  });

  it('says what it has understood, and where it stands', async () => {
    const query = '🙂 -"no way" Mood:NEGATIVE foo:bar';
    const { searchChats } = await me.data<Any>(
      `query ($query: String!) { searchChats(query: $query) {
        understood { kind value excluded start end } edges { approximate }
      } }`,
      { query },
    );
    expect(searchChats.understood).toEqual([
      { kind: 'WORD', value: '🙂', excluded: false, start: 0, end: 2 },
      { kind: 'PHRASE', value: 'no way', excluded: true, start: 3, end: 12 },
      { kind: 'MOOD', value: 'negative', excluded: false, start: 13, end: 26 },
      { kind: 'WORD', value: 'foo:bar', excluded: false, start: 27, end: 34 },
    ]);
  });

  it('gives a passage of each hit, with marks of its own', async () => {
    const filler = 'lorem ipsum dolor sit amet '.repeat(40);
    await seed(`${filler}the wide Sea`, `${filler}a sea, and the deep blue sea ${filler}`);
    const { searchChats } = await me.data<Any>(
      `{ searchChats(query: "sea deep") { edges {
        snippet { field text hasBefore hasAfter highlights { field start end } }
      } } }`,
    );
    const { snippet } = searchChats.edges[0];
    const { text, highlights, ...rest } = snippet;
    expect(rest).toEqual({ field: 'RESPONSE', hasBefore: true, hasAfter: true });
    expect(text).toContain('a sea, and the deep blue sea');
    expect(text.length).toBeLessThan(210);
    expect(highlights.map(({ start, end }: Any) => text.slice(start, end))).toEqual([
      'sea',
      'deep',
      'sea',
    ]);
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

describe('searchChats by relevance', () => {
  const byRelevance = { orderBy: 'RELEVANCE' };
  const ranked = async (query: string, more = {}) =>
    (await hits(query, { ...byRelevance, ...more })).map((edge) => edge.node.message);

  it('puts whole words before beginnings, and those before parts; among equals the newest', async () => {
    await seed('an old tea');
    await seed('a teapot');
    await seed('steady');
    await seed('Tea again');
    await seed('teams');
    expect(await messages('tea')).toEqual([
      'teams',
      'Tea again',
      'steady',
      'a teapot',
      'an old tea',
    ]);
    expect(await ranked('tea')).toEqual(['Tea again', 'an old tea', 'teams', 'a teapot', 'steady']);
    expect(await ranked('tea -again', { first: 3 })).toEqual(['an old tea', 'teams', 'a teapot']);
  });

  it('pages by cursor, each hit once and in place, while messages arrive and go', async () => {
    const texts = ['tea', 'teapot', 'steady', 'Tea 2', 'teams', 'instead', 'green tea', 'oh, tea'];
    const ids: string[] = [];
    for (const text of texts) ids.push(await seed(text));
    const all = await ranked('tea');
    const seen: string[] = [];
    let after: string | null = null;
    for (let more = true; more; ) {
      const { searchChats }: Any = await me.data<Any>(SEARCH, {
        query: 'tea',
        first: 3,
        after,
        ...byRelevance,
      });
      expect(searchChats.pageInfo.startCursor).toBe(searchChats.edges[0].cursor);
      seen.push(...searchChats.edges.map((edge: Any) => edge.node.message));
      after = searchChats.pageInfo.endCursor;
      more = searchChats.pageInfo.hasNextPage;
      if (seen.length === 3) {
        await seed('more tea');
        await seed('a teaspoon');
        await me.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id: ids[1] });
      }
    }
    // Above the place is what was shown already; below it, what is less relevant than its rank, or older.
    expect(seen.filter((text) => text !== 'a teaspoon')).toEqual(
      all.filter((text) => text !== 'teapot'),
    );
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('has cursors of its own, which are none in the order of time, nor for another user', async () => {
    await seed('tea');
    await seed('tea');
    const [ofRank] = await hits('tea', byRelevance);
    const [ofTime] = await hits('tea');
    expect(ofRank.cursor).not.toBe(ofTime.cursor);
    const failure = async (variables: object, client = me) =>
      failureOf(await client.ask(SEARCH, { query: 'tea', ...variables }));
    expect(await failure({ after: ofRank.cursor, ...byRelevance })).toBe(undefined);
    expect(await failure({ after: ofRank.cursor })).toBe('BAD_USER_INPUT after');
    expect(await failure({ after: ofTime.cursor, ...byRelevance })).toBe('BAD_USER_INPUT after');
    const other = await signIn(server);
    const theirs = { after: ofRank.cursor, ...byRelevance };
    expect(await failure(theirs, other)).toBe('BAD_USER_INPUT after');
    const history = await me.ask(
      'query ($after: String) { chatHistory(after: $after) { seq: eventsCursor } }',
      {
        after: ofRank.cursor,
      },
    );
    expect(failureOf(history)).toBe('BAD_USER_INPUT after');
  });

  it('is another page in the cache than the newest', async () => {
    await seed('tea');
    await seed('teams');
    const order = async (more: object) =>
      (await hits('tea', more)).map((edge) => edge.node.message);
    for (let n = 0; n < 3; n += 1) {
      expect(await order({})).toEqual(['teams', 'tea']);
      expect(await order(byRelevance)).toEqual(['tea', 'teams']);
      expect(await order({ orderBy: 'NEWEST' })).toEqual(['teams', 'tea']);
    }
  });
});

describe('near spellings', () => {
  it('are found when nothing else is, said to be so, and marked', async () => {
    await seed('Two swallows over the barn');
    await seed('A barn owl', 'and no Swalows');
    const edges = await hits('swallws');
    expect(edges.map(({ approximate }) => approximate)).toEqual([true, true]);
    expect(edges.flatMap(marked)).toEqual(['Swalows', 'swallows']);
    const [exact] = await hits('swallows');
    expect([exact.approximate, exact.node.message]).toEqual([false, 'Two swallows over the barn']);
    expect(await hits('swallows')).toHaveLength(1);
    expect(await hits('elephants')).toEqual([]);
  });

  it('go on where a page of them ended, in both orders', async () => {
    for (let n = 0; n < 5; n += 1) await seed(`swallows ${n}`);
    for (const orderBy of ['NEWEST', 'RELEVANCE']) {
      const seen: string[] = [];
      let after: string | null = null;
      for (let more = true; more; ) {
        const variables = { query: 'swallws', first: 2, after, orderBy };
        const { searchChats }: Any = await me.data<Any>(SEARCH, variables);
        seen.push(...searchChats.edges.map((edge: Any) => edge.node.message));
        after = searchChats.pageInfo.endCursor;
        more = searchChats.pageInfo.hasNextPage;
      }
      expect(seen).toEqual([4, 3, 2, 1, 0].map((n) => `swallows ${n}`));
    }
  });
});

describe('bad input to searchChats', () => {
  it.each([
    ['', 'BAD_USER_INPUT query'],
    ['   ', 'BAD_USER_INPUT query'],
    ['""', 'BAD_USER_INPUT query'],
    ['x'.repeat(201), 'BAD_USER_INPUT query'],
    ['\u0301', 'BAD_USER_INPUT query'],
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
