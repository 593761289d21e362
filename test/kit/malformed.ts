import fc from 'fast-check';
import { ADDED, EVENTS } from './subscriptions.ts';
import { HISTORY, SEARCH, SEND } from './client.ts';
import { encodeFrame } from './raw.ts';

/*
 * Requests that nobody should send: near enough to good ones to get far, and wrong in one place or in all.
 */

const UUID = '0190a6e4-0000-7000-8000-000000000000';

const GOOD_QUERIES = [
  '{ __typename }',
  '{ viewer { id email personality } }',
  `{ message(id: "${UUID}") { id cursor } }`,
  '{ moodTrend(from: "2026-01-01", to: "2026-02-01") { start moodScore } }',
  'query A { __typename } query B { viewer { id } }',
  '{ __schema { types { name } } }',
  'mutation { setPersonality(personality: { a: [1, "b", null] }) { id } }',
  `mutation { stopReply(id: "${UUID}") { id } }`,
  HISTORY,
  SEARCH,
  SEND,
  ADDED,
  EVENTS,
];

const TOKENS = [
  ...[
    'query',
    'mutation',
    'subscription',
    'fragment',
    'on',
    'viewer',
    'chatHistory',
    'nodes',
    'id',
  ],
  ...['{', '}', '{ id }', '(', ')', '[', ']', ':', '$', '@', '!', '|', '&', '=', '...', '"', '"""'],
  ...['first', '1', '-1', '1e999', '1.', '0x1', '00', '$a', '@skip(if: true)', '...A', 'null', '#'],
  ...['\u0000', '\ufeff', '\u2028', '\ud800', '\\u{110000}', '"\\ud800"', '"\\u0000"', '😀', 'é'],
];

const soup = fc
  .array(fc.constantFrom(...TOKENS), { maxLength: 30 })
  .map((words) => words.join(' '));

/** A text, cut, doubled or written over somewhere. */
const damaged = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(text, fc.nat(), fc.nat(40), fc.oneof(soup, fc.string({ unit: 'binary', maxLength: 8 })))
    .map(([whole, at, length, put]) => {
      const from = at % (whole.length + 1);
      return whole.slice(0, from) + put + whole.slice(from + length);
    });

const goodQuery = fc.constantFrom(...GOOD_QUERIES);
const query = fc.oneof(
  goodQuery,
  damaged(goodQuery),
  soup,
  fc.string({ unit: 'binary' }),
  fc.nat(2_000).map((n) => `${'{a'.repeat(n)}${'}'.repeat(n)}`),
  fc.nat(30_000).map((n) => `{ __typename } #${'x'.repeat(n)}`),
);

/** JSON that no JSON.stringify writes. */
const RAW = [
  ...[
    '1e999',
    '-1e999',
    '-0',
    '9'.repeat(400),
    '1e-999',
    'NaN',
    'undefined',
    '01',
    '+1',
    '',
    '{',
    '"',
  ],
  ...['"\\ud800"', '"\\u0000"', '"\\x00"', "'a'", '[1,]', '{"a":1,"a":2}', '{"__proto__":{"a":1}}'],
  ...['{"constructor":{"prototype":{"a":1}}}', `${'['.repeat(9_000)}${']'.repeat(9_000)}`, 'null'],
  ...[
    `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`,
    '['.repeat(20_000),
    `"${'x'.repeat(20_000)}"`,
  ],
];

const json = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
  fc.string({ unit: 'binary' }).map((value) => JSON.stringify(value)),
  fc.constantFrom(...RAW),
);

const variables = fc.oneof(
  { weight: 3, arbitrary: json },
  {
    weight: 2,
    arbitrary: fc
      .dictionary(
        fc.constantFrom(
          'input',
          'first',
          'after',
          'offset',
          'last',
          'before',
          'filter',
          'query',
          'a',
        ),
        json,
      )
      .map((entries) => objectOf(Object.entries(entries))),
  },
);

const objectOf = (entries: readonly (readonly [string, string])[]) =>
  `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;

/** An operation as JSON: each part as it should be, wild, missing or there twice. */
const operation = fc
  .tuple(
    fc.oneof(
      query.map((text) => JSON.stringify(text)),
      json,
    ),
    fc.option(variables),
    fc.option(fc.oneof(fc.constantFrom('"A"', '"B"', '"Send"', '""'), json)),
    fc.option(json),
    fc.array(
      fc.tuple(fc.constantFrom('query', 'variables', 'id', 'type', '__proto__', 'x'), json),
      {
        maxLength: 2,
      },
    ),
  )
  .map(([text, given, name, extensions, others]) =>
    objectOf([
      ['query', text],
      ...(given === null ? [] : [['variables', given] as const]),
      ...(name === null ? [] : [['operationName', name] as const]),
      ...(extensions === null ? [] : [['extensions', extensions] as const]),
      ...others,
    ]),
  );

const BYTES = [
  [0xff],
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xef, 0xbb, 0xbf],
  [0],
  [0xf4, 0x90, 0x80, 0x80],
];

/** Bytes of a text, some of them others: no UTF-8 any more, or nothing that was meant. */
const bytesOf = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(
      text,
      fc.array(
        fc.tuple(
          fc.nat(),
          fc.oneof(fc.constantFrom(...BYTES), fc.array(fc.nat(255), { maxLength: 4 })),
        ),
        {
          maxLength: 2,
        },
      ),
    )
    .map(([whole, changes]) => {
      let bytes = Buffer.from(whole);
      for (const [at, put] of changes) {
        const from = at % (bytes.length + 1);
        bytes = Buffer.concat([
          bytes.subarray(0, from),
          Buffer.from(put),
          bytes.subarray(from + 1),
        ]);
      }
      return bytes;
    });

const body = fc.oneof(
  { weight: 4, arbitrary: operation.map((text) => Buffer.from(text)) },
  { weight: 2, arbitrary: bytesOf(operation) },
  { weight: 1, arbitrary: damaged(operation).map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: json.map((text) => Buffer.from(text)) },
  {
    weight: 1,
    arbitrary: fc.array(operation, { maxLength: 3 }).map((all) => Buffer.from(`[${all}]`)),
  },
  { weight: 1, arbitrary: operation.map((text) => Buffer.from(text, 'utf16le')) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(200_000, 300_000, 2_000_000).map((n) => Buffer.alloc(n, 'x')),
  },
);

/** Latin-1 without line breaks, with some that servers stumble over. */
const headText = fc.oneof(
  fc.string({ unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)) }),
  fc.constantFrom(
    '\u0000',
    '\t',
    '\u0001',
    '\r',
    '\n',
    '%',
    '%00',
    '%ff',
    '../..',
    '[',
    '://',
    '\u007f',
  ),
);

const HEADERS: readonly (readonly [string, readonly string[]])[] = [
  [
    'content-type',
    [
      'application/json',
      'application/json',
      'text/plain',
      'APPLICATION/JSON;x',
      'application/',
      '*/*',
      'multipart/form-data; boundary=',
      'application/json, text/plain',
    ],
  ],
  [
    'accept',
    [
      '*/*',
      'application/json',
      'application/graphql-response+json',
      'text/event-stream',
      'multipart/mixed',
      'text/html',
      'image/png',
      ';q=,',
      'a/b;q=9999999999',
    ],
  ],
  ['accept-encoding', ['gzip', 'br', '*;q=0', 'gzip;q=NaN', ',,,', 'identity;q=0']],
  [
    'authorization',
    [
      'Bearer',
      'Bearer a.b.c',
      'Basic YTpi',
      'Bearer eyJhbGciOiJub25lIn0.e30.',
      'bearer  \t',
      'Bearer '.repeat(500),
    ],
  ],
  ['host', ['a', '', '[', '[::1]', 'a b', 'a:99999', '@', 'a/b?c#d', '%']],
  ['origin', ['null', 'https://a.example', 'a b', '*']],
  ['connection', ['close', 'keep-alive', 'upgrade', 'upgrade, close', ',']],
  ['upgrade', ['websocket', 'h2c', 'TLS/1.0', '']],
  ['sec-websocket-key', ['dGhlIHNhbXBsZSBub25jZQ==', 'x', '']],
  ['sec-websocket-version', ['13', '8', '-1', '13, 8']],
  [
    'sec-websocket-protocol',
    [
      'graphql-transport-ws',
      'graphql-ws',
      'a, b',
      ',',
      'graphql-transport-ws, graphql-transport-ws',
    ],
  ],
  [
    'sec-websocket-extensions',
    ['permessage-deflate', ';;', 'permessage-deflate; client_max_window_bits=99'],
  ],
  ['content-encoding', ['gzip', 'deflate', 'br', 'foo', 'identity']],
  ['expect', ['100-continue', 'foo']],
  ['x-forwarded-for', ['127.0.0.1', ',,,', '::1, a', 'x'.repeat(2_000)]],
  ['if-none-match', ['*', '"a"', 'W/', ',']],
  ['range', ['bytes=0-', 'bytes=9-1']],
  ['cookie', ['a=b', ';;;=']],
  ['access-control-request-method', ['POST', '']],
  ['access-control-request-headers', ['authorization', ',']],
  ['trailer', ['x']],
  ['te', ['trailers, deflate']],
  ['x', ['y'.repeat(9_000), 'y'.repeat(17_000)]],
];

const header = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      ...HEADERS.flatMap(([name, values]) => values.map((value) => `${name}: ${value}`)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...HEADERS.map(([name]) => name)), headText)
      .map(([name, value]) => `${name}: ${value}`),
  },
  { weight: 1, arbitrary: headText },
);

const PATHS = [
  ...[
    '/',
    '//',
    '/graphql/',
    '//graphql',
    '/GraphQL',
    '/graphql;a',
    '/%67raphql',
    '/graphql%00',
    '/graphql#a',
  ],
  ...[
    'http://a/graphql',
    'http://[/graphql',
    '*',
    'a',
    '',
    '/health',
    '/ready',
    '/metrics',
    '/status',
    '/status/constructor',
    '/sw.js',
    '/%',
    '/%ff',
  ],
  ...[
    '/assets/..%2f..%2fpackage.json',
    '/graphiql/../page.js',
    '/graphiql/constructor',
    '/__proto__',
    '/\u00e9',
  ],
  ...[`/${'a'.repeat(8_000)}`, `/${'../'.repeat(500)}`, '/?'.repeat(500)],
];

const encoded = fc.tuple(
  fc.oneof(query, soup),
  fc.option(variables),
  fc.option(json),
  fc.constantFrom(encodeURIComponent, encodeURI, (text: string) =>
    text.replace(/\s|\p{Cc}/gu, '+'),
  ),
);

const target = fc.oneof(
  { weight: 6, arbitrary: fc.constant('/graphql') },
  {
    weight: 3,
    arbitrary: encoded.map(([text, given, extensions, encode]) => {
      const put = (name: string, value: string | null) =>
        value === null ? '' : `&${name}=${encode(value.slice(0, 3_000).toWellFormed())}`;
      return `/graphql?query=${put('q', text).slice(3)}${put('variables', given)}${put('extensions', extensions)}`;
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom(...PATHS) },
  { weight: 1, arbitrary: headText.map((text) => `/graphql?${text}`) },
);

const METHODS = [
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'HEAD',
  'TRACE',
  'CONNECT',
  'PROPFIND',
  'get',
  'X',
  'POST POST',
  '',
];

/** How the head says where the body ends. */
const framing = fc.oneof(
  { weight: 6, arbitrary: fc.constant('true') },
  {
    weight: 6,
    arbitrary: fc.constantFrom('none', 'longer', 'shorter', 'twice', 'negative', 'huge', 'both'),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'chunked',
      'chunks without end',
      'bad chunks',
      'gzip, chunked',
      'identity',
    ),
  },
);

function frame(kind: string, content: Buffer): { heads: string[]; body: Buffer } {
  const length = (n: number | string) => `content-length: ${n}`;
  const chunk = (size: string) =>
    Buffer.concat([Buffer.from(`${size}\r\n`), content, Buffer.from('\r\n')]);
  const chunks = (size = content.length.toString(16), end = '0\r\n\r\n') =>
    content.length === 0 ? Buffer.from(end) : Buffer.concat([chunk(size), Buffer.from(end)]);
  const coded = (coding: string) => `transfer-encoding: ${coding}`;
  switch (kind) {
    case 'none':
      return { heads: [], body: content };
    case 'longer':
      return { heads: [length(content.length + 10)], body: content };
    case 'shorter':
      return { heads: [length(Math.max(0, content.length - 3))], body: content };
    case 'twice':
      return { heads: [length(content.length), length(content.length + 1)], body: content };
    case 'negative':
      return { heads: [length(-1)], body: content };
    case 'huge':
      return { heads: [length('9'.repeat(30))], body: content };
    case 'both':
      return { heads: [length(content.length), coded('chunked')], body: chunks() };
    case 'chunked':
    case 'gzip, chunked':
    case 'identity':
      return { heads: [coded(kind)], body: chunks() };
    case 'chunks without end':
      return { heads: [coded('chunked')], body: chunks(undefined, '') };
    case 'bad chunks':
      return { heads: [coded('chunked')], body: chunks('fffffffffffffffff') };
    default:
      return { heads: [length(content.length)], body: content };
  }
}

/** A request, good in most of its parts. The token gets it further than strangers get. */
export const httpRequests = (token: string): fc.Arbitrary<Buffer> =>
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc
        .record({
          method: fc.oneof(
            { weight: 6, arbitrary: fc.constant('POST') },
            { weight: 3, arbitrary: fc.constant('GET') },
            { weight: 2, arbitrary: fc.constantFrom(...METHODS) },
          ),
          target,
          version: fc.oneof(
            { weight: 15, arbitrary: fc.constant('HTTP/1.1') },
            {
              weight: 1,
              arbitrary: fc.constantFrom(
                'HTTP/1.0',
                'HTTP/2.0',
                'HTTP/9',
                'http/1.1',
                '',
                'HTTP/1.1 x',
              ),
            },
          ),
          usual: fc.oneof(
            {
              weight: 4,
              arbitrary: fc.constant([
                'host: a',
                'content-type: application/json',
                `authorization: Bearer ${token}`,
              ]),
            },
            { weight: 2, arbitrary: fc.constant(['host: a', 'content-type: application/json']) },
            { weight: 1, arbitrary: fc.constant([]) },
          ),
          // Of what is there twice, the first counts for Node.
          before: fc.array(header, { maxLength: 2 }),
          after: fc.array(header, { maxLength: 2 }),
          framing,
          content: body,
        })
        .map(({ method, target: path, version, usual, before, after, framing: kind, content }) => {
          const framed = frame(kind, method === 'GET' ? content.subarray(0, 50) : content);
          const lines = [
            `${method} ${path} ${version}`,
            ...before,
            ...usual,
            ...after,
            ...framed.heads,
          ];
          return Buffer.concat([
            Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'),
            framed.body,
          ]);
        }),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        Buffer.from('160301020001000001fc0303', 'hex'),
        Buffer.from('GET / HTTP/1.1\r\n'.repeat(50)),
        Buffer.from(`GET / HTTP/1.1\r\nhost: a\r\n${'a: b\r\n'.repeat(2_500)}\r\n`),
        Buffer.from('\r\n'.repeat(5_000)),
      ),
    },
  );

const TYPES = [
  'connection_init',
  'subscribe',
  'complete',
  'ping',
  'pong',
  'next',
  'error',
  'connection_ack',
  'start',
  '',
];
const IDS = ['1', '1', '2', '', 'x'.repeat(30_000), '__proto__', 'constructor', 'toString'];

/** A message of graphql-transport-ws, or what looks like one. */
const message = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.oneof(
          fc.constantFrom(...TYPES).map((type) => JSON.stringify(type)),
          json,
        ),
        fc.option(
          fc.oneof(
            fc.constantFrom(...IDS).map((id) => JSON.stringify(id)),
            json,
          ),
        ),
        fc.option(fc.oneof({ weight: 3, arbitrary: operation }, { weight: 1, arbitrary: json })),
      )
      .map(([type, id, payload]) =>
        objectOf([
          ['type', type],
          ...(id === null ? [] : [['id', id] as const]),
          ...(payload === null ? [] : [['payload', payload] as const]),
        ]),
      ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom(...IDS), operation).map(([id, payload]) =>
      objectOf([
        ['id', JSON.stringify(id)],
        ['type', '"subscribe"'],
        ['payload', payload],
      ]),
    ),
  },
  { weight: 1, arbitrary: json },
  { weight: 1, arbitrary: soup },
);

const frames = fc.oneof(
  {
    weight: 8,
    arbitrary: message.map((text) => encodeFrame({ opcode: 1, payload: Buffer.from(text) })),
  },
  { weight: 2, arbitrary: bytesOf(message).map((payload) => encodeFrame({ opcode: 1, payload })) },
  {
    weight: 2,
    arbitrary: fc
      .record(
        {
          opcode: fc.nat(15),
          payload: fc.oneof(
            fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
            fc.constant(Buffer.alloc(300_000, 'x')),
          ),
          reserved: fc.nat(7),
          isLast: fc.boolean(),
          isMasked: fc.boolean(),
          length: fc.constantFrom(0, 1, 125, 126, 65_535, 65_536, 262_145, 2 ** 31, 2 ** 53 - 1),
        },
        { requiredKeys: ['opcode', 'payload'] },
      )
      .map((bad) => encodeFrame(bad as never)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
);

const GOOD_INIT = (token: string) =>
  encodeFrame({
    opcode: 1,
    payload: Buffer.from(
      JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }),
    ),
  });

/** What is sent on a WebSocket: a handshake, mostly a good beginning, then whatever comes, then the end. */
export const socketTalks = (token: string): fc.Arbitrary<Buffer[]> =>
  fc
    .tuple(
      fc.oneof(
        { weight: 8, arbitrary: fc.constant('graphql-transport-ws') },
        {
          weight: 1,
          arbitrary: fc.constantFrom('graphql-ws', 'a, b', 'graphql-transport-ws, x', ''),
        },
      ),
      fc.oneof(
        { weight: 4, arbitrary: fc.constant([GOOD_INIT(token)]) },
        { weight: 1, arbitrary: fc.constant([]) },
      ),
      fc.array(frames, { minLength: 1, maxLength: 5 }),
    )
    .map(([subprotocol, beginning, sent]) => {
      const head = [
        'GET /graphql HTTP/1.1',
        'host: a',
        'connection: upgrade',
        'upgrade: websocket',
        'sec-websocket-version: 13',
        'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
        ...(subprotocol ? [`sec-websocket-protocol: ${subprotocol}`] : []),
      ];
      return [
        Buffer.from(`${head.join('\r\n')}\r\n\r\n`),
        ...beginning,
        Buffer.concat([...sent, encodeFrame({ opcode: 8, payload: Buffer.from([0x03, 0xe8]) })]),
      ];
    });

/** A cursor or an id that was given out, or something made of one. */
export const tampered = (
  given: readonly string[],
  others: readonly string[],
): fc.Arbitrary<string> => {
  const any = fc.constantFrom(...given);
  const recoded = (change: (bytes: Buffer, n: number) => Buffer) =>
    fc
      .tuple(any, fc.nat())
      .map(([cursor, n]) => change(Buffer.from(cursor, 'base64url'), n).toString('base64url'));
  return fc.oneof(
    { weight: 1, arbitrary: any },
    { weight: 2, arbitrary: fc.constantFrom(...others) },
    { weight: 4, arbitrary: damaged(any) },
    {
      weight: 3,
      arbitrary: recoded((bytes, n) => {
        const changed = Buffer.from(bytes);
        changed[n % bytes.length] = (n >> 8) & 255;
        return changed;
      }),
    },
    { weight: 1, arbitrary: recoded((bytes, n) => bytes.subarray(0, n % bytes.length)) },
    { weight: 1, arbitrary: recoded((bytes, n) => Buffer.concat([bytes, Buffer.from(String(n))])) },
    // The head of one with the place of another.
    {
      weight: 3,
      arbitrary: fc
        .tuple(any, fc.oneof(any, fc.constantFrom(...others)), fc.nat(60))
        .map(([a, b, at]) => a.slice(0, at) + b.slice(at)),
    },
    { weight: 1, arbitrary: any.map((cursor) => `${cursor}=`) },
    { weight: 1, arbitrary: any.map((cursor) => ` ${cursor}`) },
    { weight: 1, arbitrary: any.map((cursor) => cursor.repeat(9)) },
    { weight: 1, arbitrary: any.map((cursor) => cursor.toUpperCase()) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  );
};
