import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import WebSocket from 'ws';
import { type Any, type Client, failureOf, send, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';
import { collect, connect, EVENTS, subscribed } from './kit/subscriptions.ts';

const SOON = { timeout: 30_000, interval: 20 };
const LIMITS = { perUser: 3, anonymousPerAddress: 4, operationsPerSocket: 5, pingMs: 500 };

let server: TestServer;
let me: Client;

beforeAll(async () => {
  server = await startServer({ connectionLimits: LIMITS, env: { TRUST_PROXY: 'true' } });
});
afterAll(() => server.stop());
beforeEach(async () => {
  me = await signIn(server);
});

interface RawSocket {
  readonly socket: WebSocket;
  readonly messages: Any[];
  /** The close code, or the HTTP status of a refusal. */
  readonly ended: Promise<number>;
  say(message: object): void;
  /** The first message that fits. */
  heard(fits: (message: Any) => boolean): Promise<Any>;
}

/** A WebSocket without a client on top. */
async function open(
  options: { at?: TestServer; token?: string | undefined; from?: string; autoPong?: boolean } = {},
): Promise<RawSocket> {
  const { at = server, token, from = '192.0.2.1', autoPong = true } = options;
  const headers = { 'x-forwarded-for': `203.0.113.9, ${from}` };
  const socket = new WebSocket(`${at.wsUrl}/graphql`, 'graphql-transport-ws', {
    headers,
    autoPong,
  });
  onTestFinished(() => socket.terminate());
  const messages: Any[] = [];
  socket.on('error', () => {});
  socket.on('message', (data) => messages.push(JSON.parse(String(data))));
  const ended = new Promise<number>((resolve) => {
    socket.once('unexpected-response', (_, { statusCode }) => resolve(statusCode ?? 0));
    socket.once('close', resolve);
  });
  const say = (message: object) => socket.send(JSON.stringify(message));
  const heard = async (fits: (message: Any) => boolean) => {
    await expect.poll(() => messages.some(fits), { interval: 5 }).toBe(true);
    return messages.find(fits);
  };
  const isOpen = new Promise<boolean>((resolve) => socket.once('open', () => resolve(true)));
  if ((await Promise.race([isOpen, ended])) === true && token) {
    say({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
    await Promise.race([heard(({ type }) => type === 'connection_ack'), ended]);
  }
  return { socket, messages, ended, say, heard };
}

const subscribe = (query = EVENTS, id = '1') => ({ id, type: 'subscribe', payload: { query } });

const stream = (at: TestServer, client: Client, signal?: AbortSignal) =>
  fetch(`${at.url}/graphql`, {
    method: 'POST',
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      authorization: `Bearer ${client.token}`,
    },
    body: JSON.stringify({ query: EVENTS }),
    ...(signal && { signal }),
  });

describe('connections', () => {
  it('are limited for a user, streams over HTTP among them', async () => {
    const [first, , third] = [
      await open({ token: me.token }),
      await open({ token: me.token }),
      await open({ token: me.token }),
    ];
    const refused = await open({ token: me.token });
    expect(await refused.ended).toBe(1013);
    const controller = new AbortController();
    expect(await (await stream(server, me)).text()).toMatch(/RATE_LIMITED.*retryAfterMs/);
    expect((await me.ask('{ viewer { id } }')).errors).toBeUndefined();
    first?.socket.close();
    await first?.ended;
    const streaming = await stream(server, me, controller.signal);
    const reader = (streaming.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await subscribed(server, 1);
    expect(await (await open({ token: me.token })).ended).toBe(1013);
    controller.abort();
    await subscribed(server, 0);
    expect((await open({ token: me.token })).socket.readyState).toBe(WebSocket.OPEN);
    const other = await open({ token: (await signIn(server)).token });
    expect(other.socket.readyState).toBe(WebSocket.OPEN);
    expect(third?.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('are limited for an address until they have signed in', async () => {
    const from = '192.0.2.7';
    const waiting: RawSocket[] = [];
    for (let i = 0; i < LIMITS.anonymousPerAddress; i += 1) waiting.push(await open({ from }));
    expect(await (await open({ from })).ended).toBe(429);
    expect((await open({ from: '192.0.2.8' })).socket.readyState).toBe(WebSocket.OPEN);
    waiting[0]?.say({
      type: 'connection_init',
      payload: { authorization: `Bearer ${me.token}` },
    });
    await waiting[0]?.heard(({ type }) => type === 'connection_ack');
    const next = await open({ from });
    expect(next.socket.readyState).toBe(WebSocket.OPEN);
    next.socket.terminate();
    await next.ended;
    await expect.poll(async () => (await open({ from })).socket.readyState).toBe(WebSocket.OPEN);
  });

  it('are closed when they do not begin', async () => {
    expect(await (await open()).ended).toBe(4408);
  });

  it('are given up when they do not answer pings', async () => {
    const dead = await open({ token: me.token, autoPong: false });
    const alive = await open({ token: me.token });
    expect(await dead.ended).toBe(1006);
    expect(alive.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('have a limit of operations at a time, and of what a message may hold', async () => {
    const { say, heard, ended } = await open({ token: me.token });
    for (let i = 0; i < LIMITS.operationsPerSocket; i += 1) {
      say(subscribe(EVENTS, `${i}`));
      await heard(({ id }) => id === `${i}`);
    }
    say(subscribe(EVENTS, 'one more'));
    const { payload } = await heard(({ id }) => id === 'one more');
    expect(failureOf({ errors: payload })).toBe('RATE_LIMITED');
    say({ id: '0', type: 'complete' });
    say(subscribe(EVENTS, 'in its place'));
    expect((await heard(({ id }) => id === 'in its place')).type).toBe('next');
    say({ type: 'ping', payload: { text: 'x'.repeat(1024 * 1024) } });
    expect(await ended).toBe(1009);
  });
});

describe('a client that does not read', () => {
  let patient: TestServer;
  beforeAll(async () => {
    patient = await startServer();
  });
  afterAll(() => patient.stop());
  beforeEach(async () => {
    me = await signIn(patient);
  });

  /** Sends more than the kernel takes for a client that does not read, until so many are left. */
  async function floodUntil(left: number): Promise<number> {
    let running = left + 1;
    const watching = setInterval(async () => {
      const text = await (await fetch(`${patient.url}/metrics`)).text();
      running = Number(/chatkeep_subscriptions (\d+)/.exec(text)?.[1]);
    }, 50);
    let sent = 0;
    for (; running > left; sent += 4) {
      const message = '漢'.repeat(32_000);
      await Promise.all(Array.from({ length: 4 }, () => send(me, message, { awaitReply: false })));
    }
    clearInterval(watching);
    return sent;
  }

  it('has its socket closed with 1013, comes back by cursor, and nobody else notices', async () => {
    const paused = await open({ at: patient, token: me.token });
    paused.say(subscribe());
    const first = await paused.heard(({ type }) => type === 'next');
    const reading = collect(connect(patient, me.token), EVENTS);
    await reading.nth(1);
    paused.socket.pause();
    const sent = await floodUntil(1);
    paused.socket.resume();
    expect(await paused.ended).toBe(1013);
    const complete = (result: Any) => result.data.chatEvents.message?.status === 'COMPLETE';
    await expect.poll(() => reading.values.filter(complete).length, SOON).toBe(sent);
    const after = first.payload.data.chatEvents.cursor;
    const late = collect(connect(patient, me.token), EVENTS, { after });
    await late.first(({ data }) => data.chatEvents.__typename === 'CaughtUp');
    expect(late.values.filter(complete)).toHaveLength(sent);
  });

  it('is told a long history when it does, which waits in PostgreSQL until then', async () => {
    const first = await collect(connect(patient, me.token), EVENTS).nth(1);
    const admin = postgres(patient.database.ownerUrl, { max: 1, onnotice: () => {} });
    const rows = 400;
    await send(me, 'makes the user known');
    await admin`
      insert into chat_history (user_id, id, message)
      select ${me.userId}, gen_random_uuid(), repeat('漢', 30000) from generate_series(1, ${rows})`;
    await admin.end();
    const { socket, say, messages, heard } = await open({ at: patient, token: me.token });
    const after = first.data.chatEvents.cursor;
    say({ id: '1', type: 'subscribe', payload: { query: EVENTS, variables: { after } } });
    await heard(({ type }) => type === 'next');
    socket.pause();
    // A message of another user, to its end: time in which all could be sent.
    await send(await signIn(patient), 'meanwhile');
    const begun = messages.length;
    socket.resume();
    await heard(({ payload }) => payload?.data.chatEvents.__typename === 'CaughtUp');
    expect(begun).toBeLessThan(rows);
    // The acknowledgement, the message that made the user known, the rows, and CaughtUp.
    expect(messages).toHaveLength(rows + 3);
  });

  it('has its stream over HTTP ended with an error', async () => {
    const { body } = await stream(patient, me);
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await subscribed(patient, 1);
    await floodUntil(0);
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text = (text + Buffer.from(value).toString()).slice(-1_000);
    }
    expect(text).toMatch(/SERVICE_UNAVAILABLE/);
    expect(text.trimEnd()).toMatch(/event: complete\ndata:$/);
  });
});
