import { request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Any, type Client, HISTORY, SEARCH, send, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';

const ONE = '0199a0c4-0000-7000-8000-000000000001';

let server: TestServer;
let me: Client;
let other: Client;

beforeAll(async () => {
  server = await startServer();
  me = await signIn(server);
  other = await signIn(server);
  await send(me, 'the word one, and ☀️', { id: ONE });
  for (const word of ['two', 'three']) await send(me, `the word ${word}, and ☀️`);
  await send(other, 'the word of somebody else');
});
afterAll(() => server.stop());

interface Raw {
  readonly status: number;
  /** As they stand in the response, but for the date. */
  readonly head: readonly string[];
  readonly body: Buffer;
}

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly by?: Client;
}

/** To the byte: no client that adds, decodes or sorts anything. */
async function ask({ method = 'POST', path = '/graphql', body, headers, by = me }: Asked) {
  return new Promise<Raw>((resolve, reject) => {
    const sending = request(
      `${server.url}${path}`,
      {
        method,
        headers: {
          authorization: `Bearer ${by.token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
      },
      async (response) => {
        const { rawHeaders } = response;
        const head = rawHeaders.filter((_, i) => rawHeaders[i - (i % 2)]?.toLowerCase() !== 'date');
        resolve({ status: response.statusCode ?? 0, head, body: await buffer(response) });
      },
    );
    sending.on('error', reject);
    sending.end(body);
  });
}

function headerOf({ head }: Raw, name: string): string | undefined {
  const at = head.findIndex((word, i) => i % 2 === 0 && word.toLowerCase() === name);
  return at === -1 ? undefined : head[at + 1];
}

/** How many pages the front has answered, from the cache or not. */
async function inFront(kind: 'hits' | 'misses'): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^chatkeep_front_${kind}_total (\\d+)$`, 'm').exec(text)?.[1]);
}

const frontHits = () => inFront('hits');
const frontMisses = () => inFront('misses');

/** Each change makes another one. */
const withoutTag = (raw: Raw): Raw => ({
  ...raw,
  head: raw.head.filter((_, i) => raw.head[i - (i % 2)] !== 'etag' || i % 2 === 0),
});

const DELETE = 'mutation ($id: ID!) { deleteMessage(id: $id) }';

let spellings = 0;

/** The same operation in bytes that nobody has sent, so that the engine meets it. */
function otherwise({ body, path, ...asked }: Asked): Asked {
  spellings += 1;
  if (body === undefined) return { ...asked, path: `${path}&_=${spellings}` };
  return { ...asked, body: `${body}${' '.repeat(spellings)}` };
}

const OPERATIONS: readonly [string, Asked][] = (
  [
    ['a history', { query: HISTORY }],
    ['its variables', { query: HISTORY, variables: { first: 2, offset: 1 } }],
    ['them in another order', { query: HISTORY, variables: { offset: 1, first: 2 } }],
    [
      'a name, extensions and an alias',
      {
        query: 'query A { page: chatHistory(last: 1) { nodes { id } } } query B { __typename }',
        operationName: 'A',
        extensions: { persistedQuery: null },
      },
    ],
    [
      'fragments and directives',
      {
        query: `query ($no: Boolean = false) { ...P }
          fragment P on Query { chatHistory { nodes { id message @skip(if: $no) } } }`,
      },
    ],
    ['a search', { query: SEARCH, variables: { query: 'word' } }],
    [
      'a search by relevance, its passages and what was understood',
      {
        query: `query ($q: String!) { searchChats(query: $q, orderBy: RELEVANCE) {
          understood { kind value excluded start end }
          edges { cursor approximate snippet { field text hasBefore hasAfter highlights { start end } } }
          pageInfo { startCursor endCursor } } }`,
        variables: { q: 'WORD -four' },
      },
    ],
    ['what is around a message', { query: HISTORY, variables: { around: ONE, first: 2 } }],
    ['a search for nothing', { query: SEARCH, variables: { query: 'nowhere', first: 3 } }],
  ] as const
).map(([name, body]) => [name, { body: JSON.stringify(body) }]);

const pathOf = (query: string, variables: object = {}) =>
  `/graphql?${new URLSearchParams({ query, variables: JSON.stringify(variables) })}`;

const CLIENTS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['curl', { accept: '*/*' }],
  ['a client without a wish', {}],
  ['urql', { accept: 'application/graphql-response+json, application/json' }],
  ['an older client', { accept: 'application/json', 'accept-encoding': 'gzip, deflate' }],
  [
    'a browser',
    {
      accept: 'application/graphql-response+json, application/json',
      'accept-encoding': 'gzip, deflate, br, zstd',
      origin: 'https://app.example',
    },
  ],
  [
    'a browser on another page',
    {
      accept: 'application/graphql-response+json, application/json',
      'accept-encoding': 'gzip, deflate, br, zstd',
      origin: 'https://other.example',
    },
  ],
  ['a client with weights', { 'accept-encoding': 'br;q=0, gzip;q=0.5, *;q=0.1' }],
];

describe('a page in front of the engine', () => {
  const cases = OPERATIONS.flatMap(([what, asked]) =>
    CLIENTS.map(([who, headers]): [string, string, Asked] => [what, who, { ...asked, headers }]),
  );
  const byGet = CLIENTS.map(([who, headers]): [string, string, Asked] => [
    'a GET',
    who,
    { method: 'GET', path: pathOf(HISTORY, { first: 3 }), headers },
  ]);

  it.each([...cases, ...byGet])(
    'is to the byte what the engine says: %s for %s',
    async (...[, , asked]) => {
      await ask(otherwise(asked));
      const before = await frontHits();
      const slow = await ask(asked);
      expect(await frontHits()).toBe(before);
      const isPage = headerOf(slow, 'cache-status') === 'chatkeep; hit';
      expect(isPage || asked.body?.includes('...P')).toBe(true);
      // Each time the lease has just run out, the engine answers once more.
      let fast: Raw;
      do {
        fast = await ask(asked);
        expect(fast).toEqual(slow);
      } while (isPage && (await frontHits()) === before);
      if (!isPage) expect(await frontHits()).toBe(before);
    },
  );

  it.each([...cases, ...byGet])(
    'is read as the engine reads it: %s for %s',
    async (...[, , asked]) => {
      const first = await ask(asked);
      if (headerOf(first, 'cache-status') === 'chatkeep; fwd=bypass') return;
      // All is as before, but for the number of the last change.
      const change = async () => me.data(DELETE, { id: (await send(me, 'gone at once')).id });
      const before = await frontMisses();
      await change();
      const slow = await ask(otherwise(asked));
      expect(await frontMisses()).toBe(before);
      await change();
      const fast = await ask(asked);
      expect(headerOf(fast, 'cache-status')).toBe('chatkeep; fwd=stale; stored');
      expect(await frontMisses()).toBe(before + 1);
      expect(withoutTag(fast)).toEqual(withoutTag(slow));
      expect((await ask(asked)).body).toEqual(fast.body);
    },
  );

  it('has its errors told by the engine', async () => {
    const { chatHistory } = await me.data<Any>(HISTORY, { first: 1 });
    const after = chatHistory.pageInfo.endCursor as string;
    const asked = {
      body: JSON.stringify({ query: HISTORY, variables: { first: 2, after } }),
      headers: { accept: 'application/graphql-response+json' },
    };
    expect((await ask(asked)).status).toBe(200);
    const [fast, slow] = [
      await ask({ ...asked, by: other }),
      await ask({ ...otherwise(asked), by: other }),
    ];
    expect(fast).toEqual(slow);
    expect(fast.status).toBe(400);
    const [error] = JSON.parse(fast.body.toString()).errors;
    expect(error).toMatchObject({
      path: ['chatHistory'],
      locations: [{ line: 2, column: 3 }],
      extensions: { code: 'BAD_USER_INPUT', argument: 'after' },
    });
  });

  it('is another one for another user, and none for who is nobody', async () => {
    const asked = { body: JSON.stringify({ query: HISTORY, variables: { first: 4 } }) };
    const mine = [await ask(asked), await ask(asked), await ask(asked)];
    expect(new Set(mine.map(({ body }) => body.toString())).size).toBe(1);
    expect(mine[0]?.body.toString()).not.toContain('somebody else');
    const theirs = await ask({ ...asked, by: other });
    expect(headerOf(theirs, 'cache-status')).toBe('chatkeep; fwd=uri-miss; stored');
    expect(theirs.body.toString()).toContain('somebody else');
    expect((await ask({ ...asked, by: other })).body).toEqual(theirs.body);
    const nobody = await ask({ ...asked, headers: { authorization: 'Bearer nobody' } });
    expect(nobody.body.toString()).toMatch(/UNAUTHENTICATED/);
    expect(nobody.body.toString()).not.toMatch(/word/);
  });

  it('is never from before a change', async () => {
    const asked = { body: JSON.stringify({ query: HISTORY, variables: { first: 1 } }) };
    for (let n = 0; n < 8; n += 1) {
      await send(me, `change ${n}`);
      const [first, second] = [await ask(asked), await ask(asked)];
      expect(JSON.parse(first.body.toString()).data.chatHistory.nodes[0].message).toBe(
        `change ${n}`,
      );
      expect(headerOf(second, 'cache-status')).toBe('chatkeep; hit');
      expect(second.body).toEqual(first.body);
    }
  });

  it('says the same compressed as not', async () => {
    const asked = (encoding: string) => ({
      body: JSON.stringify({ query: HISTORY, variables: { first: 5 } }),
      headers: { 'accept-encoding': encoding },
    });
    const plain = await ask(asked('identity'));
    for (const [encoding, decode] of [
      ['gzip', gunzipSync],
      ['br', brotliDecompressSync],
    ] as const) {
      for (let n = 0; n < 3; n += 1) {
        const packed = await ask(asked(encoding));
        expect(headerOf(packed, 'content-encoding')).toBe(encoding);
        expect(headerOf(packed, 'vary')).toMatch(/accept-encoding/i);
        expect(Number(headerOf(packed, 'content-length'))).toBe(packed.body.length);
        expect(decode(packed.body)).toEqual(plain.body);
      }
    }
  });
});

describe('a page asked for by GET', () => {
  const page = (variables: object, headers: Record<string, string> = {}): Asked => ({
    method: 'GET',
    path: pathOf(HISTORY, variables),
    headers,
  });

  it('need not be sent again to who has it, until it changes', async () => {
    const first = await ask(page({ first: 6 }));
    const etag = headerOf(first, 'etag') as string;
    expect(headerOf(first, 'cache-control')).toBe('private, no-cache');
    const known = { 'if-none-match': `W/"other", ${etag}` };
    // The engine meets the first, the front the others.
    for (const again of [otherwise(page({ first: 6 }, known)), page({ first: 6 }, known)]) {
      const same = [await ask(again), await ask(again)];
      for (const { status, body, head } of same) {
        expect([status, body.length]).toEqual([304, 0]);
        expect(head.join().toLowerCase()).not.toMatch(/(^|,)content-(type|encoding),/);
      }
      expect(same[0]).toEqual(same[1]);
    }
    await send(me, 'a change');
    const changed = await ask(page({ first: 6 }, known));
    expect(changed.status).toBe(200);
    expect(changed.body.toString()).toContain('a change');
  });

  it('has another tag for another user, other variables and another encoding', async () => {
    const pages: Asked[] = [
      page({ first: 7 }),
      page({ first: 8 }),
      page({ first: 7 }, { 'accept-encoding': 'gzip' }),
      { ...page({ first: 7 }), by: other },
    ];
    const tags = async () => {
      const answers: (string | undefined)[] = [];
      for (const one of pages) answers.push(headerOf(await ask(one), 'etag'));
      return answers;
    };
    const read = await tags();
    expect(new Set(read).size).toBe(4);
    // The engine's first, then those of the front.
    for (let n = 0; n < 2; n += 1) expect(await tags()).toEqual(read);
  });

  it('keeps its tag to itself: nothing else has one', async () => {
    const viewer = await ask({ method: 'GET', path: pathOf('{ viewer { id } }') });
    expect(headerOf(viewer, 'etag')).toBeUndefined();
    const posted = await ask({ body: JSON.stringify({ query: HISTORY }) });
    expect(headerOf(posted, 'etag')).toBeUndefined();
    expect((JSON.parse(posted.body.toString()) as Any).data).toBeDefined();
  });
});
