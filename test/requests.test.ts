import { request as httpRequest } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type Any, type Client, failureOf, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';

let server: TestServer;
let me: Client;

beforeAll(async () => {
  server = await startServer();
  me = await signIn(server);
});
afterAll(() => server.stop());

describe('a body', () => {
  const sign = 'mutation { signInAsGuest { accessToken } }';
  const post = (body: BodyInit, headers: Record<string, string> = {}) =>
    fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
  const pad = (bytes: number) => {
    const body = JSON.stringify({ query: '{ __typename }', variables: { pad: '' } });
    return body.replace('""', `"${'x'.repeat(bytes - body.length)}"`);
  };
  const codeOf = async (response: Response) => failureOf((await response.json()) as Any);

  it('has 256 KiB, told beforehand or not', async () => {
    expect((await post(pad(256 * 1024))).status).toBe(200);
    const over = await post(pad(256 * 1024 + 1));
    expect([over.status, await codeOf(over)]).toEqual([413, 'QUERY_TOO_COMPLEX']);
    // Without a length it comes in chunks.
    const chunked = await new Promise<[number, string]>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const sending = httpRequest(`${server.url}/graphql`, { method: 'POST', headers });
      sending.on('error', reject);
      sending.on('response', async (response) => {
        const text = Buffer.concat(await response.toArray()).toString();
        resolve([response.statusCode ?? 0, failureOf(JSON.parse(text)) ?? '']);
      });
      sending.write(pad(256 * 1024 + 1));
      sending.end();
    });
    expect(chunked).toEqual([413, 'QUERY_TOO_COMPLEX']);
  });

  it('holds the largest message and context there are, all that is not ASCII escaped', async () => {
    const escaped = (text: string) =>
      text.replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
    const message = 'я'.repeat(32_000);
    const personalityContext = { about: 'я'.repeat(8_000) };
    const input = { message, personalityContext, awaitReply: false };
    const query =
      'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { message } } }';
    const response = await post(escaped(JSON.stringify({ query, variables: { input } })), {
      authorization: `Bearer ${me.token}`,
    });
    expect(((await response.json()) as Any).data.sendMessage.message.message).toBe(message);
  });

  it('is a message of 256 KiB at the most over WebSocket', async () => {
    const socket = new WebSocket(`${server.wsUrl}/graphql`, 'graphql-transport-ws');
    const code = new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ type: 'ping', payload: { pad: 'x'.repeat(256 * 1024) } }));
    expect(await code).toBe(1009);
  });

  it.each([
    [
      'a form',
      { 'content-type': 'application/x-www-form-urlencoded' },
      `query=${encodeURIComponent(sign)}`,
    ],
    ['text', { 'content-type': 'text/plain' }, JSON.stringify({ query: sign })],
    [
      'text that says JSON',
      { 'content-type': 'text/plain; application/json' },
      JSON.stringify({ query: sign }),
    ],
    ['a document', { 'content-type': 'application/graphql' }, sign],
    [
      'JSON of another kind',
      { 'content-type': 'application/json-seq' },
      JSON.stringify({ query: sign }),
    ],
    [
      'parts',
      { 'content-type': 'multipart/form-data; boundary=x' },
      `--x\r\ncontent-disposition: form-data; name="operations"\r\n\r\n${JSON.stringify({ query: sign })}\r\n--x--\r\n`,
    ],
    ['parts without a boundary', { 'content-type': 'multipart/form-data' }, '--x--'],
    ['gzip', { 'content-encoding': 'gzip' }, JSON.stringify({ query: sign })],
  ])('is no %s', async (_, headers, body) => {
    const response = await post(body, headers as Record<string, string>);
    expect([response.status, await codeOf(response)]).toEqual([415, 'BAD_USER_INPUT']);
  });

  it('is JSON however its type is spelt', async () => {
    for (const type of [
      'Application/JSON',
      'application/json ; charset=utf-8',
      'application/graphql+json',
    ])
      expect(
        (await post('{"query":"{ __typename }"}', { 'content-type': type })).status,
        type,
      ).toBe(200);
  });

  it('holds one operation', async () => {
    const one = { query: '{ __typename }' };
    const response = await post(JSON.stringify(Array(10).fill(one)));
    expect([response.status, await codeOf(response)]).toEqual([400, 'BAD_USER_INPUT']);
    const socket = new WebSocket(`${server.wsUrl}/graphql`, 'graphql-transport-ws');
    const code = new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send('{"type":"connection_init"}');
    socket.send(JSON.stringify(Array(10).fill({ id: '1', type: 'subscribe', payload: one })));
    expect(await code).toBe(4400);
  });
});

describe('another site', () => {
  it('can make a browser send nothing that signs anybody in', async () => {
    const cookie = {
      cookie: `token=${me.token}; authorization=Bearer ${me.token}`,
      origin: 'https://evil.example',
    };
    const query = encodeURIComponent('{ viewer { id } }');
    const read = await fetch(
      `${server.url}/graphql?query=${query}&token=${me.token}&access_token=${me.token}`,
      { headers: cookie },
    );
    expect(failureOf((await read.json()) as Any)).toBe('UNAUTHENTICATED');
    expect(read.headers.get('access-control-allow-credentials')).toBeNull();
    expect(read.headers.get('set-cookie')).toBeNull();
  });

  it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'])('changes nothing by %s', async (method) => {
    const query = `mutation { setPersonality(personality: { by: "${method}" }) { id } }`;
    const target = `${server.url}/graphql?query=${encodeURIComponent(query)}`;
    const response = await fetch(target, {
      method,
      headers: { authorization: `Bearer ${me.token}` },
    });
    expect(response.status).toBe(405);
    expect((await me.data<Any>('{ viewer { personality } }')).viewer.personality).not.toEqual({
      by: method,
    });
  });

  it('changes nothing by what stands in the address of a POST', async () => {
    const query = encodeURIComponent(
      'mutation { setPersonality(personality: { by: "address" }) { id } }',
    );
    const response = await fetch(`${server.url}/graphql?query=${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${me.token}` },
      body: '{}',
    });
    expect(failureOf((await response.json()) as Any)).toBe('BAD_USER_INPUT');
    expect((await me.data<Any>('{ viewer { personality } }')).viewer.personality).not.toEqual({
      by: 'address',
    });
  });
});

describe('the head of a request', () => {
  /** Bytes as they are, since clients mend them. */
  const raw = (bytes: string): Promise<string> =>
    new Promise((resolve) => {
      const { hostname, port } = new URL(server.url);
      const socket = connectTcp(Number(port), hostname);
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk.toString();
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(answer));
      socket.write(bytes);
    });

  it.each([
    '[::1',
    'a b',
    'a/b',
    'a:99999',
    'a:b',
    'a@b',
    'a?b',
    'a#b',
    '%',
    '<a>',
    'a,b',
    '\u00e4',
  ])('is refused in our words with the Host %s', async (host) => {
    const answer = await raw(
      `GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain('"BAD_USER_INPUT"');
    expect(answer).not.toContain('    at ');
  });

  it.each(['localhost', 'a.example', '127.0.0.1:4000', '[::1]:4000', ''])(
    'may have the Host %j',
    async (host) => {
      const answer = await raw(
        `GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
      );
      expect(answer).toContain('{"data":{"__typename":"Query"}}');
    },
  );

  it.each(['variables=%7B', 'extensions=%5B', 'variables=%7B%22a%22:1%7Dx', 'variables=undefined'])(
    'is bad input with %s in its address',
    async (rest) => {
      const response = await fetch(`${server.url}/graphql?query=%7B__typename%7D&${rest}`);
      expect(response.status).toBe(400);
      expect(failureOf((await response.json()) as Any)).toBe('BAD_USER_INPUT');
    },
  );

  it('is no beginning of a WebSocket without what one needs', async () => {
    const upgrade = 'connection: upgrade\r\nhost: a\r\n';
    const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    for (const head of [
      `GET /graphql HTTP/1.1\r\n${upgrade}upgrade: websocket\r\n\r\n`,
      `GET /graphql HTTP/1.1\r\n${upgrade}upgrade: websocket\r\n${key}sec-websocket-version: 99\r\n\r\n`,
      `POST /graphql HTTP/1.1\r\n${upgrade}upgrade: websocket\r\n${key}sec-websocket-version: 13\r\n\r\n`,
      `GET /graphql HTTP/1.1\r\n${upgrade}upgrade: h2c\r\n${key}sec-websocket-version: 13\r\n\r\n`,
    ])
      expect(await raw(head)).toBe(
        'HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n',
      );
  });
});
