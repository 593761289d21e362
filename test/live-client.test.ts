import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as UrqlClient, fetchExchange, subscriptionExchange } from '@urql/core';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import WebSocket from 'ws';
import { encodeChangeCursor } from '../src/resolvers/cursor.ts';
import { createLiveClient, type LiveClientOptions } from '../web/live/client.ts';
import { type Any, type Client, clientOf, SEND, send, signIn } from './kit/client.ts';
import { type Gate, startGate } from './kit/gate.ts';
import { type GeminiServer, startGeminiServer } from './kit/gemini-server.ts';
import { startServer, startServerForTest, type TestServer } from './kit/server.ts';
import { EVENTS, subscribed } from './kit/subscriptions.ts';

const SECRET = 'a-secret-of-at-least-thirty-two-characters';

let gemini: GeminiServer;
let server: TestServer;
let gate: Gate;
let me: Client;

beforeAll(async () => {
  gemini = await startGeminiServer();
  const env = { GEMINI_API_KEY: 'test-key', GEMINI_BASE_URL: gemini.url };
  server = await startServer({ env, replyTiming: { progressMs: 20, deltaMs: 5 } });
});
afterAll(async () => {
  await server.stop();
  await gemini.stop();
});
beforeEach(async () => {
  gemini.reset();
  me = await signIn(server);
  gate = await startGate(server.wsUrl);
  onTestFinished(() => gate.close());
});

/** A device that comes back by itself: what it was given, in short, and what it made of it. */
function device(options: Partial<LiveClientOptions> = {}, variables: Record<string, unknown> = {}) {
  const given: Any[] = [];
  const states: string[] = [];
  const live = createLiveClient({
    url: `${gate.url.replace(/\/$/, '')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: () => ({ authorization: `Bearer ${me.token}` }),
    onState: (state) => states.push(state),
    longestPause: () => 50,
    ...options,
  });
  onTestFinished(() => live.close());
  const failed = new Promise<unknown>((resolve) => {
    live.forwardSubscription({ query: EVENTS, variables }).subscribe({
      next: ({ data, errors }) => given.push(data?.['chatEvents'] ?? errors),
      error: resolve,
      complete: () => resolve(undefined),
    });
  });
  const short = () =>
    given.map((e) => {
      if (e.__typename === 'MessageChanged') return `${e.message.message} ${e.message.status}`;
      if (e.__typename === 'ReplyDelta') return `${e.offset}:${e.text}`;
      return e.__typename === 'CaughtUp' ? '=' : `-${e.id}`;
    });
  const until = (event: string) => expect.poll(short, { interval: 5 }).toContain(event);
  return { live, given, states, failed, short, until };
}

describe('the resuming client', () => {
  it('gives each event once, in order, however often it is cut off', async () => {
    const { short, until, states } = device();
    await until('=');
    for (let i = 0; i < 20; i += 1) {
      gate.shut();
      await send(me, `message ${i}`);
      gate.open();
      if (i % 3) await until(`message ${i} COMPLETE`);
    }
    await until('message 19 COMPLETE');
    const ended = short().filter((event) => event.endsWith('COMPLETE'));
    expect(ended).toEqual(Array.from({ length: 20 }, (_, i) => `message ${i} COMPLETE`));
    expect(states[0]).toBe('connecting');
    expect(states).toContain('away');
    expect(states.at(-1)).toBe('connected');
  });

  it('gives each piece of a reply once, though it is cut off in the middle', async () => {
    const stops = [gemini.gate(), gemini.gate()];
    gemini.script({
      chunks: [
        'One, ',
        { text: 'two, ', after: stops[0]?.promise },
        { text: 'three.', after: stops[1]?.promise },
      ] as never,
    });
    const { short, until, given } = device();
    await until('=');
    await send(me, 'count', { awaitReply: false });
    await until('0:One, ');
    gate.shut();
    stops[0]?.open();
    gate.open();
    await until('5:two, ');
    stops[1]?.open();
    await until('count COMPLETE');
    const text = given
      .filter((e) => e.text)
      .map((e) => e.text)
      .join('');
    expect(text).toBe('One, two, three.');
    expect(short().filter((event) => event.startsWith('0:'))).toEqual(['0:One, ']);
  });

  it('comes back with a new token when the old one has run out', async () => {
    const own = await startServerForTest({ env: { SUPABASE_JWT_SECRET: SECRET } });
    const sub = randomUUID();
    const sign = (seconds: number) =>
      new SignJWT({ sub, aud: 'authenticated', exp: Math.floor(Date.now() / 1000) + seconds })
        .setProtectedHeader({ alg: 'HS256' })
        .sign(Buffer.from(SECRET));
    let tokens = 0;
    let refusals = 0;
    const { short, until, given } = device({
      url: `${own.wsUrl}/graphql`,
      async connectionParams() {
        tokens += 1;
        return { authorization: `Bearer ${await sign(tokens < 3 ? 2 : 60)}` };
      },
      onRefused: () => {
        refusals += 1;
      },
    });
    const user = clientOf(own, await sign(60));
    await until('=');
    for (let i = 0; tokens < 3; i += 1) await send(user, `message ${i}`);
    const { id } = await send(user, 'the last one');
    await until('the last one COMPLETE');
    const ended = short().filter((event) => event.endsWith('COMPLETE'));
    expect(new Set(ended).size).toBe(ended.length);
    expect(ended).toHaveLength(
      (await user.data<Any>('{ chatHistory(first: 100) { nodes { id } } }')).chatHistory.nodes
        .length,
    );
    expect(given.at(-1).message.id).toBe(id);
    expect(refusals).toBe(2);
  });

  it('goes on from now with a cursor that the server does not know, and says so', async () => {
    await send(me, 'before');
    let resets = 0;
    const { short, until } = device(
      {
        onReset: () => {
          resets += 1;
        },
      },
      { after: encodeChangeCursor(me.userId, 10n ** 6n) },
    );
    await until('=');
    await send(me, 'after');
    await until('after COMPLETE');
    expect(resets).toBe(1);
    expect(short().filter((event) => event.startsWith('before'))).toEqual([]);
  });

  it('tells an error that will not go away', async () => {
    const { given, failed } = device({ connectionParams: () => ({}) });
    expect(await failed).toBeUndefined();
    expect(given[0][0].extensions.code).toBe('UNAUTHENTICATED');
  });

  it('ends for good when it is closed, connected or not', async () => {
    const connected = device();
    await connected.until('=');
    await connected.live.close();
    expect(await connected.failed).toBeUndefined();
    const away = device();
    await away.until('=');
    gate.shut();
    await expect.poll(() => away.states.at(-1)).toBe('away');
    await away.live.close();
    expect(await away.failed).toBeUndefined();
    const opened = gate.connections;
    gate.open();
    // Many times the pause between two tries.
    await sleep(500);
    expect(gate.connections).toBe(opened);
    await subscribed(server, 0);
  });

  it('serves urql', async () => {
    const { live } = device();
    const client = new UrqlClient({
      url: `${server.url}/graphql`,
      preferGetMethod: false,
      fetchOptions: { headers: { authorization: `Bearer ${me.token}` } },
      exchanges: [fetchExchange, subscriptionExchange(live)],
    });
    const seen: string[] = [];
    const { unsubscribe } = client.subscription(EVENTS, {}).subscribe(({ data, error }) => {
      expect(error).toBeUndefined();
      const { __typename, message } = data.chatEvents;
      seen.push(message ? `${message.message} ${message.status}` : __typename);
    });
    await expect.poll(() => seen).toContain('CaughtUp');
    await client.mutation(SEND, { input: { message: 'from urql' } });
    await expect.poll(() => seen).toContain('from urql COMPLETE');
    gate.shut();
    await client.mutation(SEND, { input: { message: 'in the tunnel' } });
    gate.open();
    await expect.poll(() => seen).toContain('in the tunnel COMPLETE');
    expect(seen.filter((event) => event === 'in the tunnel COMPLETE')).toHaveLength(1);
    unsubscribe();
  });
});
