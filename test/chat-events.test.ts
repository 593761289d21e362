import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeChangeCursor } from '../src/resolvers/cursor.ts';
import { type Any, type Client, failureOf, HISTORY, send, signIn } from './kit/client.ts';
import { type GeminiServer, startGeminiServer } from './kit/gemini-server.ts';
import { startServer, type TestServer } from './kit/server.ts';
import { collect, connect, EVENTS, type Subscription } from './kit/subscriptions.ts';

let gemini: GeminiServer;
let server: TestServer;
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
});

const events = (variables: { after?: string } = {}, client = me): Subscription =>
  collect(connect(server, client.token), EVENTS, variables);

/** Short: `+text status` for a message that changed, `-id`, `offset:text`, `=` for CaughtUp. */
const short = ({ data: { chatEvents: e } }: Any): string => {
  if (e.__typename === 'MessageChanged') return `+${e.message.message} ${e.message.status}`;
  if (e.__typename === 'MessageDeleted') return `-${e.id}`;
  if (e.__typename === 'ReplyDelta') return `${e.offset}:${e.text}`;
  return '=';
};
const told = ({ values }: Subscription) => values.map(short);
const changes = (subscription: Subscription) =>
  told(subscription).filter((event) => !/^\d/.test(event));
const lastCursor = ({ values }: Subscription): string =>
  values.findLast(({ data }) => data.chatEvents.cursor).data.chatEvents.cursor;

const remove = (id: string) => me.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id });

/** The history that a device has made of the events. */
function historyOf(subscription: Subscription): Any[] {
  const messages = new Map<string, Any>();
  for (const { data } of subscription.values) {
    const e = data.chatEvents;
    if (e.__typename === 'MessageChanged') messages.set(e.message.id, e.message);
    if (e.__typename === 'MessageDeleted') messages.delete(e.id);
    if (e.__typename !== 'ReplyDelta') continue;
    const message = messages.get(e.messageId);
    const response = message.response.slice(0, e.offset) + e.text;
    messages.set(e.messageId, { ...message, response });
  }
  return [...messages.values()];
}

describe('chatEvents', () => {
  it('is caught up at once without a cursor, and then tells all that happens', async () => {
    await send(me, 'from before');
    gemini.script({ chunks: ['one ', 'two'] });
    const device = events();
    await device.nth(1);
    const { id } = await send(me, 'hello');
    await remove(id);
    await device.first((value) => short(value) === `-${id}`);
    expect(changes(device)).toEqual(['=', '+hello PENDING', '+hello COMPLETE', `-${id}`]);
  });

  it('replays what changed since a cursor, each message once, deletions too', async () => {
    const device = events();
    await device.nth(1);
    const first = await send(me, 'first');
    const cursor = lastCursor(device);
    const second = await send(me, 'second');
    const third = await send(me, 'third');
    await remove(first.id);
    await remove(second.id);
    const late = events({ after: cursor });
    await late.first((value) => short(value) === '=');
    expect(told(late)).toEqual(['+third COMPLETE', `-${first.id}`, `-${second.id}`, '=']);
    const [message] = historyOf(late);
    expect(message).toEqual({
      id: third.id,
      message: 'third',
      response: third.response,
      status: 'COMPLETE',
    });
    const nothing = events({ after: lastCursor(late) });
    await nothing.nth(1);
    expect(told(nothing)).toEqual(['=']);
    expect(lastCursor(nothing)).toBe(lastCursor(late));
  });

  it('tells from a page on what has changed since it was read, from a cached one too', async () => {
    const page = '{ chatHistory { nodes { id } eventsCursor } }';
    const search = '{ searchChats(query: "first") { nodes { id } eventsCursor } }';
    const { chatHistory: empty } = await me.data<Any>(page);
    const first = await send(me, 'first');
    const [read, cached] = [await me.ask<Any>(page), await me.ask<Any>(page)];
    expect(cached.headers.get('cache-status')).toBe('chatkeep; hit');
    expect(read.data.chatHistory.nodes).toEqual([{ id: first.id }]);
    const found = (await me.data<Any>(search)).searchChats;
    await send(me, 'second');
    await remove(first.id);
    const since = async (after: string) => {
      const device = events({ after });
      await device.first((value) => short(value) === '=');
      return told(device);
    };
    const changed = ['+second COMPLETE', `-${first.id}`, '='];
    for (const { eventsCursor } of [empty, read.data.chatHistory, cached.data.chatHistory, found]) {
      expect(await since(eventsCursor)).toEqual(changed);
    }
    expect(await since((await me.data<Any>(page)).chatHistory.eventsCursor)).toEqual(['=']);
  });

  it.each([
    ['text', () => 'abc'],
    ['nothing', () => ''],
    ["a page's", async () => (await me.data<Any>(HISTORY)).chatHistory.pageInfo.endCursor],
    ["another user's", async () => lastCursor(await caughtUp(await signIn(server)))],
    ['a longer one', async () => `${lastCursor(await caughtUp(me))}A`],
    ['one from the future', () => encodeChangeCursor(me.userId, 10n ** 6n)],
  ])('refuses a cursor that is not ours: %s', async (_what, make) => {
    await send(me, 'hello');
    const refused = await events({ after: await make() }).nth(1);
    expect(failureOf(refused)).toBe('BAD_USER_INPUT after');
  });

  it('streams a reply at offsets, byte for byte what is stored', async () => {
    const pieces = ['Once ', 'upon 🌅', ' a time\n', '\ud83d', '\ude00', 'שלום ', 'end.'];
    gemini.script({ chunks: pieces.map((text) => ({ text, after: 10 })) });
    const devices = [events(), events()];
    for (const device of devices) await device.nth(1);
    const sent = await send(me, 'tell me');
    for (const device of devices) {
      await device.first((value) => short(value) === '+tell me COMPLETE');
      let text = '';
      const deltas = device.values
        .map(({ data }) => data.chatEvents)
        .filter(({ __typename }) => __typename === 'ReplyDelta');
      expect(deltas.length).toBeGreaterThan(2);
      for (const { offset, text: piece, messageId } of deltas) {
        expect(messageId).toBe(sent.id);
        expect(offset).toBe(text.length);
        expect(piece.isWellFormed()).toBe(true);
        text += piece;
      }
      expect(text).toBe(pieces.join(''));
      expect(sent.response).toBe(text);
    }
    expect(told(devices[0] as Subscription)).toEqual(told(devices[1] as Subscription));
  });

  it('gives the text so far first to who comes in the middle', async () => {
    const gate = gemini.gate();
    const first = 'The first half, ';
    gemini.script({ chunks: [first, 'and the second.'], afterFirst: gate.promise });
    const early = events();
    await early.nth(1);
    await send(me, 'tell me', { awaitReply: false });
    await early.first((value) => short(value) === `0:${first}`);
    const devices = [events(), events({ after: lastCursor(early) })];
    for (const device of devices) await device.first((value) => short(value) === `0:${first}`);
    gate.open();
    for (const device of devices) {
      await device.first((value) => short(value) === '+tell me COMPLETE');
      expect(told(device)).toEqual([
        '=',
        `0:${first}`,
        `${first.length}:and the second.`,
        '+tell me COMPLETE',
      ]);
    }
    const late = events({ after: lastCursor(early) });
    await late.nth(1);
    expect(told(late)).toEqual(['=']);
  });

  it('replays a long history in pieces, in order, while more happens', async () => {
    const device = await caughtUp(me);
    const from = lastCursor(device);
    for (let i = 0; i < 25; i += 1) {
      await Promise.all(Array.from({ length: 10 }, (_, j) => send(me, `message ${i}.${j}`)));
    }
    const late = events({ after: from });
    const meanwhile = send(me, 'meanwhile');
    await late.first((value) => short(value) === '=');
    await meanwhile;
    await late.first((value) => short(value) === '+meanwhile COMPLETE');
    const ids = new Set(historyOf(late).map(({ id }) => id));
    expect(ids.size).toBe(251);
    expect(historyOf(late).filter(({ status }) => status === 'COMPLETE')).toHaveLength(251);
  });

  it('comes over SSE as over WebSocket', async () => {
    const client = createSseClient({
      url: `${server.url}/graphql`,
      headers: { authorization: `Bearer ${me.token}` },
      retryAttempts: 0,
    });
    const socket = events();
    const stream = collect(client, EVENTS);
    await socket.nth(1);
    await stream.nth(1);
    const { id } = await send(me, 'hello');
    await remove(id);
    for (const device of [socket, stream]) {
      await device.first((value) => short(value) === `-${id}`);
    }
    expect(stream.values).toEqual(socket.values);
    client.dispose();
  });

  it('tells nothing of others', async () => {
    const stranger = await signIn(server);
    const theirs = await caughtUp(stranger);
    await send(me, 'mine');
    await send(stranger, 'theirs');
    await theirs.first((value) => short(value) === '+theirs COMPLETE');
    expect(changes(theirs)).toEqual(['=', '+theirs PENDING', '+theirs COMPLETE']);
  });

  it('is for the signed in only', async () => {
    const refused = await collect(connect(server, undefined), EVENTS).nth(1);
    expect(failureOf(refused)).toBe('UNAUTHENTICATED');
  });
});

async function caughtUp(client: Client): Promise<Subscription> {
  const device = events({}, client);
  await device.nth(1);
  return device;
}
