import { randomUUID } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { createClient as createSseClient } from 'graphql-sse';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type Any, type Client, clientOf, HISTORY, send, signIn } from './kit/client.ts';
import { startServer, startServerForTest, type TestServer } from './kit/server.ts';
import { ADDED, collect, connect, subscribed } from './kit/subscriptions.ts';

let server: TestServer;
let me: Client;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  me = await signIn(server);
});

describe('messageAdded', () => {
  it('shows a message on every device of its user, once its reply has ended, and on no other', async () => {
    const stranger = await signIn(server);
    const tabs = [
      collect(connect(server, me.token)),
      collect(connect(server, me.token, 'Authorization')),
    ];
    const foreign = collect(connect(server, stranger.token));
    await subscribed(server, 3);
    const sent = await send(me, 'hello');
    for (const tab of tabs) {
      const { data } = await tab.nth(1);
      const { id, message, response, status } = sent;
      expect(data.messageAdded).toEqual({ id, message, response, status });
    }
    await send(stranger, 'theirs');
    expect((await foreign.nth(1)).data.messageAdded.message).toBe('theirs');
    expect(foreign.values).toHaveLength(1);
    expect(tabs.map((tab) => tab.values.length)).toEqual([1, 1]);
  });

  it('gives them in the order of their ends, each once, while many are sent', async () => {
    const tab = collect(connect(server, me.token));
    await subscribed(server, 1);
    await Promise.all(Array.from({ length: 20 }, (_, i) => send(me, `message ${i}`)));
    await tab.nth(20);
    const ids = tab.values.map(({ data }) => data.messageAdded.id);
    expect(new Set(ids).size).toBe(20);
  });

  it('comes over SSE too', async () => {
    const client = createSseClient({
      url: `${server.url}/graphql`,
      headers: { authorization: `Bearer ${me.token}` },
      retryAttempts: 0,
    });
    const tab = collect(client);
    await subscribed(server, 1);
    await send(me, 'over SSE');
    expect((await tab.nth(1)).data.messageAdded.message).toBe('over SSE');
    client.dispose();
    await subscribed(server, 0);
  });

  it.each([
    ['multipart/mixed', /"messageAdded":\{[^}]*in parts/],
    [
      'multipart/mixed; subscriptionSpec="1.0", application/json',
      /\{"payload":\{"data":\{"messageAdded"/,
    ],
  ])('comes as %s', async (accept, part) => {
    const { headers, body } = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { accept, 'content-type': 'application/json', authorization: `Bearer ${me.token}` },
      body: JSON.stringify({ query: ADDED }),
    });
    expect(headers.get('content-type')).toMatch(/^multipart\/mixed; boundary="graphql"/);
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    await subscribed(server, 1);
    await send(me, 'in parts');
    let text = '';
    while (!part.test(text)) text += Buffer.from((await reader.read()).value ?? []).toString();
    expect(text.split('\r\n').slice(0, 4)).toEqual([
      '',
      '--graphql',
      'Content-Type: application/json',
      '',
    ]);
    await reader.cancel();
    await subscribed(server, 0);
  });

  it('is told to proxies not to be held back', async () => {
    const controller = new AbortController();
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      signal: controller.signal,
      headers: {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        authorization: `Bearer ${me.token}`,
      },
      body: JSON.stringify({ query: ADDED }),
    });
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    controller.abort();
  });

  it('shows a page that has the message, once the event is there', async () => {
    const tab = collect(connect(server, me.token));
    await subscribed(server, 1);
    for (let i = 1; i <= 10; i += 1) {
      await me.data(HISTORY);
      const sending = send(me, `message ${i}`);
      await tab.nth(i);
      const { chatHistory } = await me.data<Any>(HISTORY);
      expect(chatHistory.nodes[0]).toMatchObject({ message: `message ${i}`, status: 'COMPLETE' });
      await sending;
    }
  });

  it('is cleaned up, however a device goes', async () => {
    for (let i = 0; i < 10; i += 1) {
      const tab = new WebSocket(`${server.wsUrl}/graphql`, 'graphql-transport-ws');
      await new Promise((resolve) => tab.once('open', resolve));
      tab.send(
        JSON.stringify({
          type: 'connection_init',
          payload: { authorization: `Bearer ${me.token}` },
        }),
      );
      await new Promise((resolve) => tab.once('message', resolve));
      tab.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: ADDED } }));
      await subscribed(server, 1);
      if (i % 2) tab.close();
      else tab.terminate();
      await subscribed(server, 0);
    }
  });
});

/** A raw connection: sends frames, answers the close code or the messages that came. */
async function raw(at: TestServer, frames: unknown[]): Promise<{ code?: number; messages: Any[] }> {
  const socket = new WebSocket(`${at.wsUrl}/graphql`, 'graphql-transport-ws');
  const messages: Any[] = [];
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => socket.once('open', resolve));
  const answered = (n: number) => expect.poll(() => messages.length).toBeGreaterThanOrEqual(n);
  socket.on('message', (data) => messages.push(JSON.parse(String(data))));
  for (const [i, frame] of frames.entries()) {
    socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
    // Subscribing before the acknowledgement is a fault of its own.
    const isInit = typeof frame === 'object' && (frame as Any).type === 'connection_init';
    if (i === 0 && isInit) await Promise.race([closed, answered(1)]);
  }
  const wanted = frames.length;
  await Promise.race([closed, answered(wanted)]);
  const code = socket.readyState === WebSocket.OPEN ? undefined : await closed;
  socket.terminate();
  return { ...(code !== undefined && { code }), messages };
}

const init = (payload: object = {}) => ({ type: 'connection_init', payload });
const subscribe = (query: string, id = '1') => ({ id, type: 'subscribe', payload: { query } });

describe('graphql-transport-ws', () => {
  it.each([
    ['bad JSON', ['{'], 4400],
    ['an unknown type', [{ type: 'hello' }], 4400],
    ['what only servers send', [init(), { id: '1', type: 'next', payload: { data: null } }], 4400],
    ['subscribe before init', [subscribe('{ __typename }')], 4401],
    ['a second init', [init(), init()], 4429],
    ['a bad token', [init({ authorization: 'Bearer abc' })], 4403],
    ['a token that is none', [init({ Authorization: 'abc' })], 4403],
    ['the same id twice', [init(), subscribe(ADDED), subscribe(ADDED)], 4409],
  ])('%s closes with %s', async (_what, frames, code) => {
    const authorized = frames.map((frame) =>
      typeof frame === 'object' && 'payload' in frame && Object.keys(frame.payload).length === 0
        ? init({ authorization: `Bearer ${me.token}` })
        : frame,
    );
    expect((await raw(server, authorized)).code).toBe(code);
  });

  it('answers a ping, and sends nothing of it back', async () => {
    const nested = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const { messages } = await raw(server, [init(), `{"type":"ping","payload":{"a":${nested}}}`]);
    expect(messages).toEqual([{ type: 'connection_ack' }, { type: 'pong' }]);
  });

  it('lets a socket in without a token, whose operations are UNAUTHENTICATED', async () => {
    const { messages } = await raw(server, [init(), subscribe('{ viewer { id } }')]);
    expect(messages[0]).toMatchObject({ type: 'connection_ack' });
    expect(messages[1].payload.errors[0].extensions.code).toBe('UNAUTHENTICATED');
    const added = await raw(server, [init(), subscribe(ADDED)]);
    expect(JSON.stringify(added.messages[1])).toContain('UNAUTHENTICATED');
  });

  it('runs queries and mutations under the limits, codes and masks of HTTP', async () => {
    const authorized = init({ AUTHORIZATION: `Bearer ${me.token}` });
    const ask = async (query: string) => {
      const { messages } = await raw(server, [authorized, subscribe(query)]);
      return messages[1];
    };
    expect((await ask('{ viewer { id } }')).payload.data.viewer.id).toBe(me.userId);
    const codeOf = async (query: string) => {
      const { payload } = await ask(query);
      return (Array.isArray(payload) ? payload : payload.errors)[0].extensions.code;
    };
    expect(await codeOf('{')).toBe('GRAPHQL_PARSE_FAILED');
    expect(await codeOf('{ nothing }')).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(await codeOf(`{ ${'__typename '.repeat(500)} }`)).toBe('QUERY_TOO_COMPLEX');
    expect(await codeOf(`mutation { deleteMessage(id: "${randomUUID()}") }`)).toBe('NOT_FOUND');
    expect(JSON.stringify(await ask('{ chatHistory(first: 0) { nodes { id } } }'))).not.toContain(
      '"http"',
    );
  });

  it('is not ended by whoever upgrades to nowhere and resets the connection', async () => {
    const { hostname, port } = new URL(server.url);
    for (const path of ['//', '/nowhere', '/graphql', '/%', 'http://[']) {
      const socket = connectTcp(Number(port), hostname).on('error', () => {});
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`,
        () => socket.resetAndDestroy(),
      );
      await closed;
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
    }
  });

  it('closes with 4403 when the token runs out', async () => {
    const secret = 'a-secret-of-at-least-thirty-two-characters';
    const short = await startServerForTest({ env: { SUPABASE_JWT_SECRET: secret } });
    const exp = Math.floor(Date.now() / 1000) + 2;
    const token = await new SignJWT({ sub: randomUUID(), aud: 'authenticated', exp })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from(secret));
    const tab = collect(connect(short, token));
    expect(await tab.ended).toMatchObject({ code: 4403, reason: 'Forbidden' });
    expect(
      (await clientOf(short, token).ask('{ viewer { id } }')).errors?.[0]?.extensions.code,
    ).toBe('UNAUTHENTICATED');
  });

  it('is told to come back when the server stops', async () => {
    const stopping = await startServer();
    const guest = await signIn(stopping);
    const tab = collect(connect(stopping, guest.token));
    await subscribed(stopping, 1);
    await stopping.stop();
    expect(await tab.ended).toMatchObject({ code: 1001 });
  });
});
