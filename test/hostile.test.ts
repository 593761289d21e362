import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  buildSchema,
  type GraphQLArgument,
  type GraphQLInputType,
  getIntrospectionQuery,
  getNamedType,
  isInputObjectType,
  isLeafType,
  isRequiredArgument,
} from 'graphql';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Any, type Client, failureOf, HISTORY, send, signIn } from './kit/client.ts';
import { createTestDatabase } from './kit/database.ts';
import { startGate } from './kit/gate.ts';
import { type ServerProcess, spawnServer } from './kit/process.ts';
import { redisAvailable, redisForms } from './kit/redis.ts';
import { startServer, startServerForTest, type TestServer } from './kit/server.ts';
import { transports } from './kit/transports.ts';

let server: TestServer;
/** As in production: without GraphiQL. */
let closed: TestServer;
let me: Client;

beforeAll(async () => {
  server = await startServer();
  closed = await startServer({ beside: server, env: { GRAPHIQL: 'false' } });
  me = await signIn(server);
});
afterAll(async () => {
  await closed.stop();
  await server.stop();
});

const many = (times: number, text: (i: number) => string) =>
  Array.from({ length: times }, (_, i) => text(i)).join(' ');
const nested = (levels: number) => `${'{ a '.repeat(levels)}${'}'.repeat(levels)}`;

/** Nothing of it may be executed. */
const TOO_COMPLEX: readonly (readonly [what: string, query: string])[] = [
  ['17 levels', nested(17)],
  ['20,000 levels', nested(20_000)],
  [
    'levels that fragments hide',
    `{ ...A } fragment A on Query { a { ...B } } fragment B on X ${nested(16)}`,
  ],
  ['levels in a fragment that is not used', `{ __typename } fragment A on Query ${nested(17)}`],
  // A fragment's name switched a limit off elsewhere (graphql-armor#823).
  [
    'levels in a fragment named __schema',
    `{ ...__schema } fragment __schema on Query ${nested(17)}`,
  ],
  ['levels in a fragment named __type', `{ ...__type } fragment __type on Query ${nested(17)}`],
  ['16 aliases', `{ ${many(16, (i) => `a${i}: __typename`)} }`],
  ['101 aliases', `{ ${many(101, (i) => `a${i}: __typename`)} }`],
  [
    'aliases that fragments multiply',
    `{ ...A ... { ...A } } fragment A on Query { ${many(8, (i) => `a${i}: __typename`)} }`,
  ],
  [
    '16 sends under aliases',
    `mutation { ${many(16, (i) => `a${i}: sendMessage(input: { message: "m" }) { message { id } }`)} }`,
  ],
  ['nine directives of a field', `{ __typename ${many(9, () => '@include(if: true)')} }`],
  ['nine directives of an operation', `query ${many(9, () => '@skip(if: false)')} { __typename }`],
  ['nine directives of a variable', `query ($a: Int ${many(9, () => '@x')}) { __typename }`],
  [
    'nine directives of a fragment',
    `{ ...A } fragment A on Query ${many(9, () => '@x')} { __typename }`,
  ],
  ['300 unknown directives', `{ __typename ${many(300, (i) => `@a${i}`)} }`],
  ['more than 1,000 tokens', `{ message(id: "1") { id } ${many(1_000, () => 'a')} }`],
  [
    'a list of 1,000 values',
    `{ chatHistory(filter: { mood: [${many(1_000, () => 'POSITIVE')}] }) { __typename } }`,
  ],
  [
    'a value of 600 levels',
    `mutation { setPersonality(personality: ${'['.repeat(600)}${']'.repeat(600)}) { id } }`,
  ],
  ['101 fields side by side', `{ ${many(101, () => '__typename')} }`],
  [
    '101 fields side by side, unused',
    `{ __typename } fragment A on Query { ${many(101, () => '__typename')} }`,
  ],
  ['500 times the same field', `{ ${many(500, () => '__typename')} }`],
  ['3,000 fields that overlap', `{ ${many(3_000, () => 'viewer { id }')} }`],
  ['200 fields that overlap', `{ ${many(200, () => 'viewer { id }')} }`],
  [
    '501 fields',
    `{ ${many(6, () => '...A')} } fragment A on Query { ${many(84, () => '__typename')} }`,
  ],
  [
    'fragments that multiply each other',
    `{ ...F0 } ${many(12, (i) => `fragment F${i} on Query { ${many(3, () => `...F${i + 1}`)} }`)} fragment F12 on Query { viewer { id } }`,
  ],
  [
    'fragments that multiply each other, unused',
    `{ __typename } ${many(12, (i) => `fragment F${i} on Query { ${many(3, () => `...F${i + 1}`)} }`)} fragment F12 on Query { viewer { id } }`,
  ],
  ['50 subscriptions in one', `subscription { ${many(50, (i) => `a${i}: messageAdded { id }`)} }`],
];

const INVALID: readonly (readonly [what: string, query: string])[] = [
  ['a fragment in itself', '{ ...A } fragment A on Query { ...A }'],
  [
    'fragments in a circle',
    'query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }',
  ],
  ['a circle named __schema', '{ ...__schema } fragment __schema on Query { ...__schema }'],
  [
    'introspection in circles',
    '{ __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }',
  ],
  ['@defer', '{ ... @defer { viewer { id } } }'],
  ['@stream', '{ chatHistory { nodes @stream(initialCount: 1) { id } } }'],
  ['@live', 'query @live { viewer { id } }'],
  ['two subscriptions in one', 'subscription { messageAdded { id } chatEvents { __typename } }'],
  ['a type of its own', 'type Query { secret: String } query { secret }'],
  ['a field that is private', '{ _service { sdl } }'],
  ['an argument twice', '{ message(id: "1", id: "2") { id } }'],
  ['a variable twice', 'query ($a: Int, $a: Int) { chatHistory(first: $a) { __typename } }'],
];

describe.each(transports)('a hostile document over $transport', ({ ask }) => {
  it.each(TOO_COMPLEX)('is refused for %s', async (_, query) => {
    const { data, errors } = await ask(server, { query }, me.token);
    expect(data).toBeUndefined();
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'QUERY_TOO_COMPLEX' }]);
  });

  it.each(INVALID)('is invalid with %s', async (_, query) => {
    const answer = await ask(server, { query }, me.token);
    expect(answer.data).toBeUndefined();
    expect(failureOf(answer)).toBe('GRAPHQL_VALIDATION_FAILED');
  });

  it('is bad input when it says not which of its operations is meant', async () => {
    const query = 'query A { viewer { id } } query B { viewer { id } }';
    for (const operationName of [undefined, null, '', 'C']) {
      const answer = await ask(server, { query, operationName }, me.token);
      expect(answer.data ?? null).toBeNull();
      expect(failureOf(answer)).toBe('BAD_USER_INPUT');
    }
    const { data } = await ask(server, { query, operationName: 'B' }, me.token);
    expect(data).toEqual({ viewer: { id: me.userId } });
  });

  it('is refused before anything is asked of PostgreSQL', async () => {
    const gate = await startGate(server.database.url);
    onTestFinished(() => gate.close());
    const behind = await startServerForTest({
      beside: { ...server, database: { ...server.database, url: gate.url } },
    });
    gate.shut();
    const before = gate.connections;
    for (const [what, query] of TOO_COMPLEX)
      expect(failureOf(await ask(behind, { query }, me.token)), what).toBe('QUERY_TOO_COMPLEX');
    expect(gate.connections).toBe(before);
    // One that may be executed gets as far as the way to PostgreSQL.
    const asked = await ask(behind, { query: HISTORY }, me.token).catch(String);
    expect(JSON.stringify(asked)).toContain('SERVICE_UNAVAILABLE');
    expect(gate.connections).toBeGreaterThan(before);
    gate.open();
    const { chatHistory } = await me.data<Any>(HISTORY);
    expect(chatHistory.nodes).toEqual([]);
  });

  it('learns no name by guessing', async () => {
    const guesses: { query: string; variables?: object }[] = [
      { query: '{ viewr { id } }' },
      { query: '{ viewer { emial } }' },
      { query: '{ viewer }' },
      { query: '{ __schema { directive } }' },
      { query: '{ chatHistory(frist: 1) { nodes { id } } }' },
      { query: 'query ($f: ChatFiltr) { chatHistory(filter: $f) { nodes { id } } }' },
      { query: '{ chatHistory(filter: { mod: POSITIVE }) { nodes { id } } }' },
      { query: '{ chatHistory(filter: { mood: POSITIV }) { nodes { id } } }' },
      { query: '{ ... on Chatmessage { id } }' },
      { query: 'mutation { sendMesage { id } }' },
      { query: 'subscription { chatEvents { cursor } }' },
      {
        query: 'query ($f: ChatFilter) { chatHistory(filter: $f) { nodes { id } } }',
        variables: { f: { mod: 'POSITIVE' } },
      },
      {
        query: 'query ($f: ChatFilter) { chatHistory(filter: $f) { nodes { id } } }',
        variables: { f: { mood: 'POSITIV' } },
      },
      {
        query: 'mutation ($i: SendMessageInput!) { sendMessage(input: $i) { message { id } } }',
        variables: { i: { mesage: 'a' } },
      },
    ];
    for (const guess of guesses) {
      const told = await ask(closed, guess, me.token);
      expect(failureOf(told), guess.query).toMatch(/^(GRAPHQL_VALIDATION_FAILED|BAD_USER_INPUT)$/);
      expect(JSON.stringify(told)).not.toContain('Did you mean');
    }
    // Where GraphiQL is, hints are.
    const [guess] = guesses as [Any];
    expect(JSON.stringify(await ask(server, guess))).toContain('Did you mean');
  });

  it('shows the schema to the signed in only, where GraphiQL is off', async () => {
    const queries = [
      getIntrospectionQuery(),
      '{ __type(name: "Query") { fields { name } } }',
      '{ a: __schema { types { name } } }',
      '{ ... { ...__schema } } fragment __schema on Query { __schema { types { name } } }',
    ];
    for (const query of queries) {
      const refused = await ask(closed, { query });
      expect(failureOf(refused)).toBe('UNAUTHENTICATED');
      expect(JSON.stringify(refused)).not.toContain('ChatMessage');
      expect((await ask(closed, { query }, me.token)).errors).toBeUndefined();
      expect((await ask(server, { query })).errors).toBeUndefined();
    }
  });

  it('has nothing from what stands beside it', async () => {
    const { userId } = me;
    const claims = {
      viewer: { sub: userId },
      socketViewer: { sub: userId },
      userId,
      role: 'admin',
    };
    const sha256Hash = 'ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38';
    const extensions = {
      ...claims,
      persistedQuery: { version: 1, sha256Hash },
      http: { status: 302 },
    };
    const query = '{ viewer { id } }';
    const alone = { query, extensions };
    expect(failureOf(await ask(server, alone))).toBe('UNAUTHENTICATED');
    const other = await signIn(server);
    expect((await ask(server, alone, other.token)).data).toEqual({ viewer: { id: other.userId } });
    const crowded = { query, ...claims, context: claims, __proto__: claims };
    const answer = await ask(server, crowded, other.token);
    expect([undefined, other.userId]).toContain(answer.data?.viewer.id);
    expect(answer).not.toHaveProperty('extensions');
  });
});

/** All arguments that take a text or another value of a client, each by its path. */
interface Place {
  readonly path: string;
  readonly query: string;
  readonly variables: (value: unknown) => object;
}

/** What is good for an argument that has to be there. Whoever adds one says it here. */
const GOOD: Readonly<Record<string, unknown>> = {
  id: randomUUID(),
  query: 'a',
  message: 'a',
  input: { message: 'a', awaitReply: false },
  from: '2026-01-01',
  to: '2026-01-02',
};

function placesOf(sdl: string): Place[] {
  const schema = buildSchema(sdl);
  const roots = [
    ['query', schema.getQueryType()],
    ['mutation', schema.getMutationType()],
    ['subscription', schema.getSubscriptionType()],
  ] as const;
  return roots.flatMap(([operation, type]) =>
    Object.values(type?.getFields() ?? {}).flatMap(({ name, args, type: result }) => {
      const required = args.filter(isRequiredArgument);
      for (const arg of required) expect(GOOD, `what is good for ${name}`).toHaveProperty(arg.name);
      const selection = isLeafType(getNamedType(result)) ? '' : '{ __typename }';
      return args.flatMap((arg) => {
        const used: readonly GraphQLArgument[] = [...new Set([...required, arg])];
        const query = `${operation} (${used.map((a) => `$${a.name}: ${a.type}`)}) { ${name}(${used.map((a) => `${a.name}: $${a.name}`)}) ${selection} }`;
        const good = Object.fromEntries(required.map((a) => [a.name, GOOD[a.name]]));
        return leavesOf(arg.type).map((path) => ({
          path: [name, arg.name, ...path].join('.'),
          query,
          variables: (value: unknown) => ({
            ...good,
            [arg.name]: within(good[arg.name], path, value),
          }),
        }));
      });
    }),
  );
}

function leavesOf(type: GraphQLInputType): string[][] {
  const named = getNamedType(type);
  if (!isInputObjectType(named)) return [[]];
  return [
    [],
    ...Object.values(named.getFields()).flatMap((field) =>
      leavesOf(field.type).map((path) => [field.name, ...path]),
    ),
  ];
}

function within(good: unknown, [key, ...path]: string[], value: unknown): unknown {
  if (key === undefined) return value;
  const object = (good ?? {}) as Record<string, unknown>;
  return { ...object, [key]: within(object[key], path, value) };
}

const HOSTILE: readonly unknown[] = [
  ...[
    '',
    ' ',
    '\0',
    'a\0b',
    '\ud800',
    'a\udc00',
    '\ufffe',
    '\ufeff',
    '\u202e',
    '%',
    '_',
    '\\',
    '"',
  ],
  ...["' or 1=1 --", '$1', '%s', '{{a}}', '{}:*', 'a\r\nSET a b\r\n', '((a+)+)$', '%a'.repeat(100)],
  // Alike to the eye: Latin, Cyrillic, mathematical, with a mark, a ligature, without width.
  ...['paypal', 'раураl', '𝐩𝐚𝐲', 'a\u0301', 'ﬃ', 'a\u200bb', 'İ'.repeat(200), '🙂'.repeat(200)],
  ...['x'.repeat(200_000), '\u0001'.repeat(32_000), '💥'.repeat(32_001)],
  ...['null', 'NaN', '1e999', '-0', '__proto__', 'constructor', '../../etc/passwd', 'Europe/..'],
  ...['9999-99-99', '0000-01-01', '2026-02-30', '2026-01-01T00:00:60Z', '2026-01-01T24:00:00Z'],
  ...['-271821-04-20T00:00:00.000Z', '+275760-09-13T00:00:00.001Z', 'infinity', 'now', '1'],
  ...['9999-12-31', '0001-01-01', '9999-12-31T23:59:59.999999999Z', '2026-01-01T00:00:00-99:99'],
  ...[0, -1, 1.5, 2 ** 31, -(2 ** 31), 2 ** 53, 1e308, -1e308, 5e-324, true, null],
  ...[
    [],
    [null],
    [[]],
    {},
    { a: 1 },
    { __proto__: null, constructor: 1 },
    Array(5_000).fill('POSITIVE'),
  ],
  JSON.parse(`${'['.repeat(1_000)}${']'.repeat(1_000)}`),
  JSON.parse(`${'{"a":'.repeat(1_000)}1${'}'.repeat(1_000)}`),
];

const EXPECTED = new Set([
  undefined,
  'BAD_USER_INPUT',
  'NOT_FOUND',
  'CONFLICT',
  'GRAPHQL_VALIDATION_FAILED',
]);

describe.each(transports)('a hostile value over $transport', ({ ask }) => {
  it.each(placesOf(readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8')))(
    'is stored as it is or refused at $path',
    async ({ query, variables }) => {
      const wrong: unknown[] = [];
      for (const value of HOSTILE) {
        const answer = await ask(server, { query, variables: variables(value) }, me.token);
        const code = answer.errors?.[0]?.extensions.code;
        if (!EXPECTED.has(code)) wrong.push([JSON.stringify(value).slice(0, 80), answer]);
      }
      expect(wrong).toEqual([]);
    },
  );
});

/** What a server has logged, in whole lines. */
const linesOf = ({ output }: ServerProcess): string[] =>
  output()
    .split('\n')
    .slice(0, -1)
    .filter((line) => !line.startsWith('chatkeep: '));

describe('what goes wrong inside', () => {
  it('is told as a number that stands in the log, and as nothing else', async () => {
    const database = await createTestDatabase();
    const spawned = spawnServer({
      DATA_DIR: server.dataDir,
      DATABASE_URL: database.url,
      MIGRATION_DATABASE_URL: database.ownerUrl,
      LOG_LEVEL: 'trace',
    });
    const at = await spawned.serving();
    const guest = await signIn(at);
    await send(guest, 'canary-message');
    const admin = postgres(database.ownerUrl, { max: 1, onnotice: () => {} });
    await admin`alter table chat_history rename column mood_score to canary_column`;
    await admin.end();

    const numbers: string[] = [];
    for (const { ask } of transports) {
      const variables = { query: 'canary-query' };
      const query = 'query canary($query: String!) { searchChats(query: $query) { nodes { id } } }';
      const { errors } = await ask(
        at,
        { query, variables, operationName: 'canary' },
        guest.token,
      ).catch((error: Error) => JSON.parse(error.message.slice(4)));
      expect(errors).toEqual([
        {
          message: 'Unexpected error.',
          locations: [{ line: 1, column: 33 }],
          path: ['searchChats'],
          extensions: {
            code: 'INTERNAL_SERVER_ERROR',
            requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
          },
        },
      ]);
      numbers.push(errors[0].extensions.requestId);
    }
    // An answer may be faster than what is printed.
    const printed = () => linesOf(spawned).join();
    await expect.poll(() => numbers.filter((number) => !printed().includes(number))).toEqual([]);
    const lines = linesOf(spawned);
    for (const number of numbers) {
      const [entry, ...more] = lines
        .map((line) => JSON.parse(line))
        .filter(({ requestId }) => requestId === number);
      expect(more).toEqual([]);
      expect(entry).toMatchObject({ level: 50, msg: 'unexpected error', err: { code: '42703' } });
    }
    expect(spawned.output()).not.toContain('canary');
  });

  it('forges no line of the log, whatever it is called', async () => {
    const spawned = spawnServer({
      DATA_DIR: server.dataDir,
      DATABASE_URL: server.database.url,
      MIGRATION_DATABASE_URL: server.database.ownerUrl,
      LOG_LEVEL: 'trace',
    });
    const at = await spawned.serving();
    const forged = '\r\n{"level":50,"msg":"forged"}\nchatkeep: forged\0\u2028\u001b[31m';
    for (const { ask } of transports) {
      const query = 'query a($b: JSON) { message(id: $b) { id } }';
      await ask(at, { query: forged });
      await ask(at, { query, operationName: forged, variables: { b: forged, [forged]: forged } });
      await ask(at, { query: '{ viewer { id } }', extensions: { [forged]: forged } }, 'a.b.c');
      await ask(at, { query: `{ message(id: ${JSON.stringify(forged)}) { id } }` }, me.token);
    }
    const latin = forged.replace(/[^ -~]/g, '%0a');
    await fetch(`${at.url}/graphql?query=${encodeURIComponent(forged)}`, {
      headers: {
        authorization: latin,
        'user-agent': latin,
        'x-forwarded-for': latin,
        'x-request-id': latin,
      },
    });
    expect(spawned.output()).not.toContain('forged');
    for (const line of linesOf(spawned))
      expect(JSON.parse(line)).toMatchObject({ level: expect.any(Number) });
  });
});

describe.runIf(redisAvailable)('keys in Redis', () => {
  it('are never the same for two users or two texts, however alike', async () => {
    const redis = await (redisForms[0] as (typeof redisForms)[number]).start();
    onTestFinished(() => redis.stop());
    const cached = await startServerForTest({ env: { REDIS_URL: redis.url } });
    const people = [await signIn(cached), await signIn(cached)];
    const texts = [
      ...[
        'a',
        'A',
        'a ',
        '"a"',
        'a:b',
        'a:',
        ':a',
        'a*',
        '*',
        '?',
        '[a]',
        '{a}',
        '}a{',
        'a\r\nb',
        'a\nb',
        '\\',
        '\u0001',
      ],
      ...[
        'а',
        'ａ',
        'a\u0301',
        'á',
        'ﬃ',
        'ffi',
        'a\u200b',
        '🙂',
        'a'.repeat(200),
        'a'.repeat(199),
        ':20',
        'a:20',
      ],
    ];
    const search = 'query ($query: String!) { searchChats(query: $query) { nodes { message } } }';
    for (const person of people) await send(person, [person.userId, ...texts].join(' | '));
    for (const round of ['uri-miss', 'hit']) {
      for (const person of people) {
        for (const query of texts) {
          const { data, headers } = await person.ask<Any>(search, { query });
          expect(headers.get('cache-status'), query).toContain(round);
          for (const { message } of data.searchChats.nodes)
            expect(message).toContain(person.userId);
        }
      }
    }
    const keys = (
      await Promise.all(redis.nodes.map(({ client }) => client.keys('chat:search:*')))
    ).flat();
    expect(keys).toHaveLength(people.length * texts.length);
    for (const key of keys)
      expect(key).toMatch(/^chat:search:\{[0-9a-f-]{36}\}:[\w-]{22}:20:[\w-]{22}(:\w+)?$/);
  });
});
