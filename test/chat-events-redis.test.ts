import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Any, type Client, clientOf, send, signIn } from './kit/client.ts';
import { type GeminiServer, startGeminiServer } from './kit/gemini-server.ts';
import { hurt, misfortunes, type RedisSetup, redisAvailable, redisForms } from './kit/redis.ts';
import { startServer, type TestServer } from './kit/server.ts';
import { collect, connect, EVENTS, type Subscription } from './kit/subscriptions.ts';

const SOON = { timeout: 20_000, interval: 10 };
const STOP = 'mutation ($id: ID!) { stopReply(id: $id) { id status } }';
/** What could come through PostgreSQL too, comes late: it has to come through Redis. */
const SELDOM = { progressMs: 600_000, heartbeatMs: 600_000, leaseMs: 1_200_000, pollMs: 600_000 };
const OFTEN = { progressMs: 20 };

/** Short: `+text status` for a message that changed, `-id`, `offset:text`, `=` for CaughtUp. */
const short = ({ data: { chatEvents: e } }: Any): string => {
  if (e.__typename === 'MessageChanged') return `+${e.message.message} ${e.message.status}`;
  if (e.__typename === 'MessageDeleted') return `-${e.id}`;
  if (e.__typename === 'ReplyDelta') return `${e.offset}:${e.text}`;
  return '=';
};
const told = (device: Subscription, event: string) =>
  device.first((value) => short(value) === event);

/**
 * The history that a device has made of the events, each of which has to continue what it knows:
 * nothing may be missing, nothing come twice.
 */
function historyOf({ values }: Subscription): Any[] {
  const messages = new Map<string, Any>();
  const cursors: string[] = [];
  let fresh = true;
  for (const { data } of values) {
    const e = data.chatEvents;
    if (e.__typename === 'ReplyDelta') {
      const message = messages.get(e.messageId) ?? { response: '' };
      // After a change, or at first, the text so far may come as a whole.
      if (!(fresh && e.offset === 0)) expect(e.offset).toBe(message.response.length);
      messages.set(e.messageId, {
        ...message,
        response: message.response.slice(0, e.offset) + e.text,
      });
      fresh = false;
      continue;
    }
    fresh = true;
    if (e.__typename === 'CaughtUp') continue;
    cursors.push(e.cursor);
    if (e.__typename === 'MessageDeleted') messages.delete(e.id);
    else {
      const text = messages.get(e.message.id)?.response ?? '';
      // The text as it ended is the text as it was told.
      if (e.message.status === 'COMPLETE') {
        expect(e.message.response.slice(0, text.length)).toBe(text);
      }
      messages.set(e.message.id, e.message);
    }
  }
  expect(new Set(cursors).size).toBe(cursors.length);
  return [...messages.values()];
}

describe.skipIf(!redisAvailable).each(redisForms)(
  'chatEvents at two processes on $form',
  ({ start, parts }) => {
    let redis: RedisSetup;
    let gemini: GeminiServer;
    let one: TestServer;
    let two: TestServer;
    let env: Record<string, string>;
    let me: Client;

    beforeAll(async () => {
      redis = await start();
      gemini = await startGeminiServer();
      env = { REDIS_URL: redis.url, GEMINI_API_KEY: 'test-key', GEMINI_BASE_URL: gemini.url };
      one = await startServer({ env, replyTiming: SELDOM });
      two = await startServer({ env, replyTiming: SELDOM, beside: one });
    });
    beforeEach(async () => {
      gemini.reset();
      // On the node that is hurt where only one is.
      do me = await signIn(one);
      while (redis.nodeOf(me.userId) !== redis.nodes.at(-1));
    });
    afterEach(() => redis.heal());
    afterAll(async () => {
      await two.stop();
      await one.stop();
      await gemini.stop();
      await redis.stop();
    });

    const deviceAt = (server: TestServer) => collect(connect(server, me.token), EVENTS);
    const caughtUpAt = async (server: TestServer) => {
      const device = deviceAt(server);
      await device.nth(1);
      return device;
    };
    const channel = () => `chat:events:{${me.userId}}`;

    it('tells every device the same in the same order, the reply as it is written', async () => {
      const words = ['Once ', 'upon 🌅', ' a time\n', '\ud83d', '\ude00', 'שלום ', 'end.'];
      gemini.script({ chunks: words.map((text) => ({ text, after: 40 })) });
      const devices = [await caughtUpAt(one), await caughtUpAt(two), await caughtUpAt(two)];
      const sent = await send(me, 'tell me');
      const { id } = await send(clientOf(two, me.token), 'not this');
      await me.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id });
      const changes: string[][] = [];
      for (const device of devices) {
        await told(device, `-${id}`);
        expect(historyOf(device)).toEqual([
          { id: sent.id, message: 'tell me', response: words.join(''), status: 'COMPLETE' },
        ]);
        const all = device.values.map(short);
        const end = all.indexOf('+tell me COMPLETE');
        expect(all.slice(0, end).filter((event) => /^\d/.test(event)).length).toBeGreaterThan(2);
        changes.push(all.filter((event) => !/^\d/.test(event)));
      }
      expect(changes[1]).toEqual(changes[0]);
      expect(changes[2]).toEqual(changes[0]);
    });

    it('gives the text so far first to who comes in the middle of what the other one writes', async () => {
      const first = 'The first half, ';
      const gate = gemini.gate();
      gemini.script({ chunks: [first, 'and the second.'], afterFirst: gate.promise });
      const early = await caughtUpAt(one);
      await send(me, 'tell me', { awaitReply: false });
      await told(early, `0:${first}`);
      const late = deviceAt(two);
      await told(late, `0:${first}`);
      gate.open();
      await told(late, '+tell me COMPLETE');
      expect(late.values.map(short)).toEqual([
        '=',
        `0:${first}`,
        `${first.length}:and the second.`,
        '+tell me COMPLETE',
      ]);
    });

    it('shows a reply that the other process was asked to stop', async () => {
      const gate = gemini.gate();
      gemini.script({ chunks: ['So far', ' and further'], afterFirst: gate.promise });
      const device = await caughtUpAt(two);
      const { id } = await send(me, 'tell me', { awaitReply: false });
      await told(device, '0:So far');
      await clientOf(two, me.token).data(STOP, { id });
      await told(device, '+tell me STOPPED');
      expect(historyOf(device)).toMatchObject([{ id, response: 'So far', status: 'STOPPED' }]);
      gate.open();
    });

    it('has a channel for a user only while a device listens, or a reply is written', async () => {
      await expect.poll(redis.channels, SOON).toEqual([]);
      const [first, second] = [await caughtUpAt(two), await caughtUpAt(two)];
      expect(await redis.channels()).toEqual([channel()]);
      first.stop();
      await send(me, 'hello');
      await told(second, '+hello COMPLETE');
      expect(await redis.channels()).toEqual([channel()]);
      second.stop();
      await expect.poll(redis.channels, SOON).toEqual([]);
    });

    it('loses nothing, and tells nothing twice, when subscribers are cut off', async () => {
      const device = await caughtUpAt(two);
      const { client } = redis.nodeOf(me.userId);
      const texts = Array.from({ length: 20 }, (_, i) => `message ${i}`);
      for (const [i, text] of texts.entries()) {
        const sending = send(me, text);
        if (i % 4 === 1) await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
        await sending;
      }
      await told(device, '+message 19 COMPLETE');
      const known = historyOf(device).map(({ message, status }) => `${message} ${status}`);
      expect(known).toEqual(texts.map((text) => `${text} COMPLETE`));
    });

    it.each(misfortunes(parts))(
      'goes on from PostgreSQL while %s is %s, and through Redis after it',
      async (part, how) => {
        const writer = await startServer({ env, replyTiming: OFTEN, beside: one });
        const atWriter = clientOf(writer, me.token);
        const [there, here] = [await caughtUpAt(two), await caughtUpAt(writer)];
        await send(atWriter, 'before');
        await told(there, '+before COMPLETE');
        const end = await hurt(redis, part, how);

        await send(atWriter, 'during');
        await told(there, '+during COMPLETE');
        const first = 'The first half, ';
        const gate = gemini.gate();
        gemini.script({ chunks: [first, 'and the second.'], afterFirst: gate.promise });
        await send(atWriter, 'tell me', { awaitReply: false });
        await told(there, `0:${first}`);
        const late = deviceAt(two);
        await told(late, `0:${first}`);
        gate.open();
        await told(there, '+tell me COMPLETE');
        await end();

        await expect.poll(redis.channels, SOON).toEqual([channel()]);
        await send(atWriter, 'after');
        for (const device of [there, here]) {
          await told(device, '+after COMPLETE');
          const known = historyOf(device).map(({ message, status }) => `${message} ${status}`);
          const all = ['before', 'during', 'tell me', 'after'];
          expect(known).toEqual(all.map((text) => `${text} COMPLETE`));
        }
        await told(late, '+after COMPLETE');
        historyOf(late);
        for (const device of [there, here, late]) device.stop();
        await expect.poll(redis.channels, SOON).toEqual([]);
        await writer.stop();
      },
    );
  },
);
