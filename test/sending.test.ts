import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Any,
  type Client,
  clientOf,
  failureOf,
  HISTORY,
  SEND,
  send,
  signIn,
} from './kit/client.ts';
import { type GeminiServer, startGeminiServer } from './kit/gemini-server.ts';
import { startServer, startServerForTest, type TestServer } from './kit/server.ts';

let gemini: GeminiServer;
let server: TestServer;
let other: TestServer;
let me: Client;

const replyTiming = { heartbeatMs: 100, sweepMs: 200, leaseMs: 1_000, progressMs: 20, pollMs: 50 };

beforeAll(async () => {
  gemini = await startGeminiServer();
  const env = { GEMINI_API_KEY: 'test-key', GEMINI_BASE_URL: gemini.url };
  server = await startServer({ env, replyTiming });
  other = await startServer({ env, replyTiming, beside: server });
});
afterAll(async () => {
  await other.stop();
  await server.stop();
  await gemini.stop();
});
beforeEach(async () => {
  gemini.reset();
  me = await signIn(server);
});

const find = async (client: Client, id: string): Promise<Any> =>
  (
    await client.data<Any>(
      'query ($id: ID!) { message(id: $id) { id message response status failure } }',
      { id },
    )
  ).message;

const STOP = 'mutation ($id: ID!) { stopReply(id: $id) { id response status failure } }';
const RETRY = 'mutation ($id: ID!) { retryReply(id: $id) { id response status failure } }';
const DELETE = 'mutation ($id: ID!) { deleteMessage(id: $id) }';

describe('sendMessage', () => {
  it('stores the message and answers with the reply', async () => {
    gemini.script({ chunks: ['Good ', 'morning ', '☀️'] });
    const sent = await send(me, 'What a wonderful day!', { personalityContext: { tone: 'kind' } });
    expect(sent).toMatchObject({
      message: 'What a wonderful day!',
      response: 'Good morning ☀️',
      status: 'COMPLETE',
      failure: null,
      mood: 'POSITIVE',
      personalityContext: { tone: 'kind' },
      hasPersonalityContext: true,
    });
    expect(sent.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(sent.moodScore).toBeGreaterThan(0.05);
    const { chatHistory } = await me.data<Any>(HISTORY);
    expect(chatHistory.nodes).toEqual([
      expect.objectContaining({ id: sent.id, response: 'Good morning ☀️' }),
    ]);
  });

  it('gives each message a millisecond of its own, in the order of the history', async () => {
    const ids = Array.from({ length: 40 }, () => randomUUID());
    await Promise.all(
      ids.map((id, i) =>
        send(i % 2 ? me : clientOf(other, me.token), 'hello', { id, awaitReply: false }),
      ),
    );
    const { chatHistory } = await me.data<Any>('{ chatHistory { nodes { id createdAt } } }');
    const times = chatHistory.nodes.map(({ createdAt }: Any) => createdAt);
    expect(new Set(times).size).toBe(ids.length);
    expect(times.toSorted().reverse()).toEqual(times);
    // A reply that is still asked for would take what the next test has the model say.
    const running = async () => {
      const { chatHistory: now } = await me.data<Any>('{ chatHistory { nodes { status } } }');
      return now.nodes.filter(({ status }: Any) => status !== 'COMPLETE').length;
    };
    await expect.poll(running).toBe(0);
  });

  it('is stored before the model is asked, and returns at once without awaitReply', async () => {
    const gate = gemini.gate();
    gemini.script({ chunks: ['late'], before: gate.promise });
    const sent = await send(me, 'hello', { awaitReply: false });
    expect(sent).toMatchObject({ status: 'PENDING', response: '' });
    expect(await find(me, sent.id)).toMatchObject({ status: 'PENDING' });
    gate.open();
    await vi.waitFor(async () => {
      expect(await find(me, sent.id)).toMatchObject({ status: 'COMPLETE', response: 'late' });
    });
  });

  it('shows the text so far while the reply is being written', async () => {
    const gate = gemini.gate();
    gemini.script({ chunks: ['so far', ' and the rest'], afterFirst: gate.promise });
    const { id } = await send(me, 'hello', { awaitReply: false });
    await vi.waitFor(async () => {
      expect(await find(clientOf(other, me.token), id)).toMatchObject({
        status: 'STREAMING',
        response: 'so far',
      });
    });
    gate.open();
    await vi.waitFor(async () => {
      expect(await find(me, id)).toMatchObject({ response: 'so far and the rest' });
    });
  });

  it('goes on when the client hangs up', async () => {
    const gate = gemini.gate();
    gemini.script({ chunks: ['still ', 'here'], before: gate.promise });
    const id = randomUUID();
    const controller = new AbortController();
    const request = fetch(`${server.url}/graphql`, {
      method: 'POST',
      signal: controller.signal,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${me.token}` },
      body: JSON.stringify({ query: SEND, variables: { input: { id, message: 'hello' } } }),
    });
    await vi.waitFor(async () => expect(await find(me, id)).not.toBeNull());
    controller.abort();
    await expect(request).rejects.toThrow();
    gate.open();
    await vi.waitFor(async () => {
      expect(await find(me, id)).toMatchObject({ status: 'COMPLETE', response: 'still here' });
    });
  });

  it('stores one message for one id, asked twenty times at two processes at once', async () => {
    gemini.script({ chunks: ['once'] });
    const input = { id: randomUUID(), message: 'hello', personalityContext: { b: 1, a: [1.0] } };
    const both = [me, clientOf(other, me.token)];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (both[i % 2] as Client).ask<Any>(SEND, { input })),
    );
    for (const answer of answers) {
      expect(answer.errors).toBeUndefined();
      expect(answer.data?.sendMessage.message).toMatchObject({ id: input.id, response: 'once' });
    }
    expect(gemini.requests).toHaveLength(1);
    expect((await me.data<Any>(HISTORY)).chatHistory.nodes).toHaveLength(1);
  });

  it('shows a message to whom it is acknowledged again, though whoever stored it told nobody', async () => {
    const admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
    const id = randomUUID();
    const shown = async () => (await me.data<Any>(HISTORY)).chatHistory.nodes;
    expect(await shown()).toEqual([]);
    // As a process leaves it that was killed between the commit and the lease of the cache.
    await admin`insert into chat_history (user_id, id, message) values (${me.userId}, ${id}, 'hello')`;
    await admin.end();
    await send(me, 'hello', { id });
    expect(await shown()).toMatchObject([{ id }]);
  });

  it('takes an id in upper case for the same', async () => {
    const id = randomUUID();
    const first = await send(me, 'hello', { id: id.toUpperCase() });
    expect(first.id).toBe(id);
    expect(await send(me, 'hello', { id })).toEqual(first);
  });

  it('refuses another body under the same id, and an id that was deleted', async () => {
    const id = randomUUID();
    await send(me, 'hello', { id });
    for (const input of [
      { id, message: 'other' },
      { id, message: 'hello', personalityContext: {} },
    ]) {
      expect(failureOf(await me.ask(SEND, { input }))).toBe('CONFLICT');
    }
    await me.data(DELETE, { id });
    expect(failureOf(await me.ask(SEND, { input: { id, message: 'hello' } }))).toBe('CONFLICT');
    expect(await find(me, id)).toBeNull();
  });

  it('lets two users choose the same id', async () => {
    const id = randomUUID();
    const you = await signIn(server);
    await send(me, 'mine', { id });
    await send(you, 'yours', { id });
    expect(await find(me, id)).toMatchObject({ message: 'mine' });
    expect(await find(you, id)).toMatchObject({ message: 'yours' });
  });

  it('says what the model said no to, and stores the message all the same', async () => {
    gemini.script({ blocked: 'SAFETY' });
    const sent = await send(me, 'hello');
    expect(sent).toMatchObject({ status: 'FAILED', message: 'hello' });
    expect(sent.failure).toMatch(/\w+/);
  });

  it('keeps the text so far of a stream that broke off, and does not call it complete', async () => {
    gemini.script({ chunks: ['half ', 'an answer'], end: 'cut' });
    expect(await send(me, 'hello')).toMatchObject({ status: 'FAILED', response: 'half an answer' });
  });

  it('sends the last turns along, oldest first', async () => {
    gemini.script({ chunks: ['one'] }, { chunks: ['two'] }, { chunks: ['three'] });
    await send(me, 'first');
    await send(me, 'second');
    await send(me, 'third');
    const contents = gemini.requests.at(-1)?.body.contents;
    const texts = contents.map((turn: Any) => turn.parts.map((part: Any) => part.text).join(''));
    expect(texts.join('|')).toMatch(/first.*one.*second.*two.*third/s);
  });
});

describe('bad input to sendMessage', () => {
  it.each([
    [{ message: '' }, 'BAD_USER_INPUT input.message'],
    [{ message: ' \n\t\u2003' }, 'BAD_USER_INPUT input.message'],
    [{ message: 'x'.repeat(32_001) }, 'BAD_USER_INPUT input.message'],
    [{ message: 'a\0b' }, 'BAD_USER_INPUT input.message'],
    [{ message: 'lone \ud800' }, 'BAD_USER_INPUT input.message'],
    [{ message: 'a', id: 'none' }, 'BAD_USER_INPUT input.id'],
    [{ message: 'a', personalityContext: [1] }, 'BAD_USER_INPUT input.personalityContext'],
    [{ message: 'a', personalityContext: 'kind' }, 'BAD_USER_INPUT input.personalityContext'],
    [
      { message: 'a', personalityContext: { a: 'x'.repeat(16_400) } },
      'BAD_USER_INPUT input.personalityContext',
    ],
    [{ message: 'a', personalityContext: { 'a\0': 1 } }, 'BAD_USER_INPUT input.personalityContext'],
    [
      { message: 'a', personalityContext: { a: ['\udc00'] } },
      'BAD_USER_INPUT input.personalityContext',
    ],
    [{ message: 'a', unknown: 1 }, 'BAD_USER_INPUT'],
    [{}, 'BAD_USER_INPUT'],
  ])('%j gets %s, and nothing is stored', async (input, failure) => {
    expect(failureOf(await me.ask(SEND, { input }))).toBe(failure);
    expect((await me.data<Any>(HISTORY)).chatHistory.nodes).toEqual([]);
    expect(gemini.requests).toHaveLength(0);
  });

  it('refuses numbers beyond what JSON can hold', async () => {
    const query =
      'mutation { sendMessage(input: { message: "a", personalityContext: { n: 1e999 } }) { message { id } } }';
    expect(failureOf(await me.ask(query))).toBe('BAD_USER_INPUT input.personalityContext');
  });

  it('takes 32,000 characters of four bytes each, and gives them back', async () => {
    const message = '🙂'.repeat(32_000);
    expect((await send(me, message)).message).toBe(message);
  });
});

describe('stopReply', () => {
  it('keeps what has come, asked at another process than the one that writes', async () => {
    const gate = gemini.gate();
    gemini.script({ chunks: ['so far', ' never'], afterFirst: gate.promise });
    const { id } = await send(me, 'hello', { awaitReply: false });
    await vi.waitFor(async () => expect((await find(me, id)).status).toBe('STREAMING'));
    const { stopReply } = await clientOf(other, me.token).data<Any>(STOP, { id });
    expect(stopReply).toEqual({ id, response: 'so far', status: 'STOPPED', failure: null });
    gate.open();
    expect(await me.data<Any>(STOP, { id })).toEqual({ stopReply });
  });

  it('is a CONFLICT once the reply has ended, NOT_FOUND for what there is not', async () => {
    const { id } = await send(me, 'hello');
    expect(failureOf(await me.ask(STOP, { id }))).toBe('CONFLICT');
    expect(failureOf(await me.ask(STOP, { id: randomUUID() }))).toBe('NOT_FOUND');
    expect(failureOf(await me.ask(STOP, { id: '1' }))).toBe('BAD_USER_INPUT id');
  });
});

describe('retryReply', () => {
  it('writes a failed reply anew under the same message', async () => {
    gemini.script({ blocked: 'SAFETY' }, { chunks: ['better'] });
    const { id } = await send(me, 'hello');
    const { retryReply } = await me.data<Any>(RETRY, { id });
    expect(retryReply).toEqual({ id, response: 'better', status: 'COMPLETE', failure: null });
    expect(failureOf(await me.ask(RETRY, { id }))).toBe('CONFLICT');
    expect(failureOf(await me.ask(RETRY, { id: randomUUID() }))).toBe('NOT_FOUND');
  });

  it('asks the model once, though two devices press it at once', async () => {
    gemini.script({ blocked: 'SAFETY' }, { chunks: ['once'] });
    const { id } = await send(me, 'hello');
    const asked = await Promise.all([
      me.ask<Any>(RETRY, { id }),
      clientOf(other, me.token).ask<Any>(RETRY, { id }),
    ]);
    expect(asked.map(failureOf).filter((failure) => failure === 'CONFLICT')).toHaveLength(1);
    expect(gemini.requests).toHaveLength(2);
  });
});

describe('deleteMessage', () => {
  it('deletes for good, and only once', async () => {
    const { id } = await send(me, 'hello');
    expect(await me.data(DELETE, { id })).toEqual({ deleteMessage: id });
    expect(await find(me, id)).toBeNull();
    expect((await me.data<Any>(HISTORY)).chatHistory.nodes).toEqual([]);
    expect(failureOf(await me.ask(DELETE, { id }))).toBe('NOT_FOUND');
  });

  it('ends a reply that is being written, and whoever waits for it is told', async () => {
    const gate = gemini.gate();
    gemini.script({ chunks: ['never'], before: gate.promise });
    const id = randomUUID();
    const waiting = me.ask<Any>(SEND, { input: { id, message: 'hello' } });
    await vi.waitFor(async () => expect(await find(me, id)).not.toBeNull());
    await me.data(DELETE, { id });
    expect(failureOf(await waiting)).toBe('NOT_FOUND');
    gate.open();
    expect(await find(me, id)).toBeNull();
  });
});

describe('a reply whose process is gone', () => {
  it('ends as FAILED with the text so far, by the hand of another process', async () => {
    const admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
    const id = randomUUID();
    // What a process leaves behind that was killed: a lease that nobody renews.
    await admin`insert into chat_history (user_id, id, message, response, status)
      values (${me.userId}, ${id}, 'hello', 'so far', 'STREAMING')`;
    await admin`insert into chat_reply_leases (user_id, message_id, token, expires_at)
      values (${me.userId}, ${id}, ${randomUUID()}, now() + interval '300 milliseconds')`;
    await vi.waitFor(
      async () => {
        const row = await find(me, id);
        expect(row).toMatchObject({ status: 'FAILED', response: 'so far' });
        expect(row.failure).toMatch(/went away/);
      },
      { timeout: 10_000 },
    );
    gemini.script({ chunks: ['again'] });
    expect((await me.data<Any>(RETRY, { id })).retryReply).toMatchObject({ response: 'again' });
    await admin.end();
  });

  it('cannot be changed by that process any more, should it only have been frozen', async () => {
    const admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
    const gate = gemini.gate();
    gemini.script({ chunks: ['too late'], before: gate.promise });
    const { id } = await send(me, 'hello', { awaitReply: false });
    await admin`update chat_reply_leases set token = ${randomUUID()}, expires_at = now()
      where message_id = ${id}`;
    await vi.waitFor(async () => expect((await find(me, id)).status).toBe('FAILED'), {
      timeout: 10_000,
    });
    gate.open();
    await vi.waitFor(() => expect(gemini.running).toBe(0));
    expect(await find(me, id)).toMatchObject({ status: 'FAILED', response: '' });
    await admin.end();
  });
});

describe('the limit of messages a minute', () => {
  it('refuses one too many, says when to come back, and never a retry', async () => {
    const limited = await startServerForTest({ env: { RATE_LIMIT_PER_MINUTE: '3' } });
    const client = await signIn(limited);
    const input = { id: randomUUID(), message: 'hello', awaitReply: false };
    for (let i = 0; i < 5; i += 1) {
      expect((await client.ask(SEND, { input })).errors).toBeUndefined();
    }
    await send(client, 'two', { awaitReply: false });
    await send(client, 'three', { awaitReply: false });
    const refused = await client.ask(SEND, { input: { message: 'four' } });
    expect(failureOf(refused)).toBe('RATE_LIMITED');
    const wait = refused.errors?.[0]?.extensions['retryAfterMs'];
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(60_000);
    expect((await client.ask(SEND, { input })).errors).toBeUndefined();
    expect((await client.data<Any>(HISTORY)).chatHistory.nodes).toHaveLength(3);
    const stranger = await signIn(limited);
    expect((await stranger.ask(SEND, { input: { message: 'hi' } })).errors).toBeUndefined();
  });
});
