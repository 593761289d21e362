import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Any, type Client, clientOf, HISTORY, SEARCH, send, signIn } from './kit/client.ts';
import { directUrlOf } from './kit/database.ts';
import { startGate } from './kit/gate.ts';
import { type GeminiServer, startGeminiServer } from './kit/gemini-server.ts';
import { hurt, misfortunes, type RedisSetup, redisAvailable, redisForms } from './kit/redis.ts';
import { startServer, type TestServer } from './kit/server.ts';

/** The product on a real Redis, with two processes. */
describe.runIf(redisAvailable).each(redisForms)('with $form', ({ start, parts }) => {
  let redis: RedisSetup;
  let gemini: GeminiServer;
  let env: Record<string, string>;
  let one: TestServer;
  let two: TestServer;
  let me: Client;
  let meAtTwo: Client;

  beforeAll(async () => {
    redis = await start({ flags: ['--appendonly', 'yes'] });
    gemini = await startGeminiServer();
    env = { REDIS_URL: redis.url, GEMINI_API_KEY: 'test-key', GEMINI_BASE_URL: gemini.url };
  });
  beforeEach(async () => {
    gemini.reset();
    one = await startServer({ env });
    two = await startServer({ env, beside: one });
    me = await signIn(one);
    meAtTwo = clientOf(two, me.token, me.userId);
  });
  afterEach(async () => {
    await two.stop();
    await one.stop();
    await redis.heal();
  });
  afterAll(async () => {
    await redis.stop();
    await gemini.stop();
  });

  const ofAll = async (command: string, ...args: string[]) =>
    Promise.all(redis.nodes.map(({ client }) => client.call(command, ...args)));

  const cacheStatus = async (client: Client, query = HISTORY, variables: object = {}) =>
    (await client.ask(query, variables)).headers.get('cache-status');
  const newest = async (client: Client): Promise<string> =>
    (await client.data<Any>(HISTORY)).chatHistory.nodes[0]?.message;

  it('keeps pages under the documented keys and lives', async () => {
    await send(me, 'hello: *{}');
    await me.data(HISTORY);
    await me.data(HISTORY, { first: 20, offset: 5 });
    await me.data(SEARCH, { query: 'hello: *{}', first: 7 });
    const keys = await redis.keys('chat:*');
    const user = `{${me.userId}}`;
    const { client } = redis.nodeOf(me.userId);
    const history = keys.filter((key) => key.startsWith(`chat:history:${user}:50:0`));
    const offset = keys.filter((key) => key.startsWith(`chat:history:${user}:20:5`));
    const search = keys.filter((key) => key.startsWith(`chat:search:${user}:`));
    expect([history, offset, search].map((found) => found.length)).toEqual([1, 1, 1]);
    expect(search[0]).toMatch(/^chat:search:\{[^}]+\}:[\w-]+:7:[\w-]+(:gzip)?$/);
    expect(await client.ttl(history[0] as string)).toBeGreaterThan(86_400 - 60);
    expect(await client.ttl(search[0] as string)).toBeGreaterThan(3_600 - 60);
    expect(await client.ttl(search[0] as string)).toBeLessThanOrEqual(3_600);
    expect(await client.pttl(`chat:seq:${user}`)).toBeLessThanOrEqual(5_000);
  });

  it('says what it did, shares pages between processes, and shows no old one after a send', async () => {
    await send(me, 'first');
    expect(await cacheStatus(me)).toBe('chatkeep; fwd=uri-miss; stored');
    expect(await cacheStatus(me)).toBe('chatkeep; hit');
    expect(await cacheStatus(meAtTwo)).toBe('chatkeep; hit');
    for (let i = 0; i < 20; i += 1) {
      const [writer, reader] = i % 2 ? [me, meAtTwo] : [meAtTwo, me];
      await send(writer, `message ${i}`);
      expect(await newest(reader)).toBe(`message ${i}`);
      expect(await newest(writer)).toBe(`message ${i}`);
    }
    const { id } = await send(me, 'to be deleted');
    expect(await newest(meAtTwo)).toBe('to be deleted');
    await me.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id });
    expect(await newest(meAtTwo)).toBe('message 19');
  });

  it('takes the same variables in another order for the same page, and other ones for another', async () => {
    await send(me, 'hello');
    await me.data(HISTORY, { first: 5, offset: 0 });
    expect(await cacheStatus(me, HISTORY, { offset: 0, first: 5 })).toBe('chatkeep; hit');
    for (const other of [
      { first: 6, offset: 0 },
      { first: 5, filter: { mood: ['NEUTRAL'] } },
    ]) {
      expect(await cacheStatus(me, HISTORY, other)).toMatch(/fwd=uri-miss/);
    }
    expect(await cacheStatus(me, `${HISTORY} # another document`, { first: 5, offset: 0 })).toMatch(
      /fwd/,
    );
  });

  it('answers a hit with the very bytes and headers of the miss, in every media type', async () => {
    await send(me, 'hello');
    const raw = async (accept: string) => {
      const response = await fetch(`${one.url}/graphql`, {
        method: 'POST',
        headers: {
          accept,
          'content-type': 'application/json',
          authorization: `Bearer ${me.token}`,
        },
        body: JSON.stringify({ query: HISTORY }),
      });
      const {
        date: _date,
        'cache-status': status,
        ...headers
      } = Object.fromEntries(response.headers);
      return { status, headers, http: response.status, body: await response.text() };
    };
    const miss = await raw('application/json');
    for (const accept of ['application/json', 'application/graphql-response+json', '*/*']) {
      const hit = await raw(accept);
      expect(hit).toMatchObject({ status: 'chatkeep; hit', http: 200, body: miss.body });
    }
    expect((await raw('application/json')).headers).toEqual(miss.headers);
  });

  it('stores no page that holds a reply which has not ended, nor one that is not alone', async () => {
    await send(me, 'hello');
    expect(await cacheStatus(me, '{ chatHistory { nodes { id } } viewer { id } }')).toBe(
      'chatkeep; fwd=bypass',
    );
    expect(await cacheStatus(me, '{ chatHistory(first: 0) { nodes { id } } }')).toMatch(
      /fwd=uri-miss$/,
    );
    expect(await cacheStatus(clientOf(one), HISTORY)).toBe('chatkeep; fwd=bypass');
    const gate = gemini.gate();
    gemini.script({ afterFirst: gate.promise });
    await send(me, 'a reply that takes its time', { awaitReply: false });
    expect(await cacheStatus(me)).not.toMatch(/stored|hit/);
    expect(await cacheStatus(me, '{ viewer { id } }')).toBeNull();
    gate.open();
  });

  it('stores no page of more than 1 MiB, and serves it as it is', async () => {
    const message = '漢'.repeat(30_000);
    for (let i = 0; i < 12; i += 1) await send(me, message);
    const plain = { 'accept-encoding': 'identity' };
    for (const first of [11, 12]) {
      const asked = () => me.ask<Any>(HISTORY, { first }, plain);
      const { data } = await asked();
      expect(data?.chatHistory.nodes.map((node: Any) => node.message)).toEqual(
        Array(first).fill(message),
      );
      expect((await asked()).headers.get('cache-status')).toBe(
        first === 11 ? 'chatkeep; hit' : 'chatkeep; fwd=uri-miss',
      );
    }
    // Compressed it is small.
    await me.ask(HISTORY, { first: 12 }, { 'accept-encoding': 'br' });
    const { headers, data } = await me.ask<Any>(
      HISTORY,
      { first: 12 },
      { 'accept-encoding': 'br' },
    );
    expect(headers.get('cache-status')).toBe('chatkeep; hit');
    expect(data?.chatHistory.nodes[11].message).toBe(message);
  });

  it('shares no read that began before a change with who asks after it', async () => {
    // Not through a pooler, where a statement is described each time.
    const gate = await startGate(directUrlOf(one.database));
    const slow = await startServer({
      env: { ...env, DATABASE_URL: gate.url },
      beside: one,
    });
    const meAtSlow = clientOf(slow, me.token);
    // Its statement is prepared then: the held read is one round trip.
    await newest(meAtSlow);
    await send(me, 'old');
    const read = gate.hold();
    const early = newest(meAtSlow);
    await read;
    await send(meAtTwo, 'new');
    const late = newest(meAtSlow);
    await new Promise((resolve) => setTimeout(resolve, 100));
    gate.open();
    expect(await early).toBe('old');
    expect(await late).toBe('new');
    await slow.stop();
    gate.close();
  });

  it('asks Redis for no list of keys, whatever it does', async () => {
    await ofAll('CONFIG', 'RESETSTAT');
    for (let i = 0; i < 3; i += 1) {
      await send(me, `hello ${i}`);
      await me.data(HISTORY);
      await me.data(SEARCH, { query: 'hello' });
    }
    const stats = (await ofAll('INFO', 'commandstats')).join();
    expect(stats).toMatch(/cmdstat_evalsha/);
    expect(stats).not.toMatch(/cmdstat_(scan|keys|flushall|flushdb|del|unlink)\b/);
  });

  it('shows a message to a device at another process', async () => {
    const seen = fetch(`${two.url}/graphql`, {
      method: 'POST',
      headers: {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        authorization: `Bearer ${me.token}`,
      },
      body: JSON.stringify({ query: 'subscription { messageAdded { message status } }' }),
    });
    const { body } = await seen;
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    await expect
      .poll(async () =>
        /chatkeep_subscriptions 1/.test(await (await fetch(`${two.url}/metrics`)).text()),
      )
      .toBe(true);
    expect(await redis.channels()).toContain(`chat:events:{${me.userId}}`);
    await send(me, 'from one to two');
    let text = '';
    while (!text.includes('from one to two'))
      text += Buffer.from((await reader.read()).value ?? []).toString();
    await reader.cancel();
    await expect.poll(redis.channels).toEqual([]);
  });

  it('counts messages over all processes', async () => {
    const twoOnly = { ...env, RATE_LIMIT_PER_MINUTE: '2' };
    const limited = await startServer({ env: twoOnly, beside: one });
    const alsoLimited = await startServer({ env: twoOnly, beside: one });
    const guest = await signIn(limited);
    const there = clientOf(alsoLimited, guest.token);
    await send(guest, 'one', { awaitReply: false });
    await send(there, 'two', { awaitReply: false });
    for (const client of [guest, there]) {
      const refused = await client.ask<Any>(
        'mutation { sendMessage(input: { message: "three" }) { message { id } } }',
      );
      expect(refused.errors?.[0]?.extensions.code).toBe('RATE_LIMITED');
    }
    await limited.stop();
    await alsoLimited.stop();
  });

  it.each(misfortunes(parts))(
    'is slower and never wrong while %s is %s, starts all the same, and is well after',
    async (part, how) => {
      // On the node that is hurt where only one is.
      while (redis.nodeOf(me.userId) !== redis.nodes.at(-1)) me = await signIn(one);
      meAtTwo = clientOf(two, me.token, me.userId);
      await send(me, 'before');
      await me.data(HISTORY);
      const end = await hurt(redis, part, how);
      for (let i = 0; i < 5; i += 1) {
        const id = randomUUID();
        await send(me, `during ${i}`, { id });
        expect(await newest(me)).toBe(`during ${i}`);
        await send(meAtTwo, `at two ${i}`);
        expect(await newest(meAtTwo)).toBe(`at two ${i}`);
      }
      const late = await startServer({ env, beside: one });
      const meAtLate = clientOf(late, me.token);
      await send(meAtLate, 'from the late one');
      expect(await newest(me)).toBe('from the late one');
      const all = [one, two, late];
      const ready = () =>
        Promise.all(all.map(async ({ url }) => (await fetch(`${url}/ready`)).json()));
      expect(await ready()).toEqual(all.map(() => ({ postgres: 'up', redis: 'down' })));
      await end();
      await expect
        .poll(ready, { timeout: 15_000 })
        .toEqual(all.map(() => ({ postgres: 'up', redis: 'up' })));
      // Leases from before the outage may still stand there: nobody trusts them yet.
      for (const client of [me, meAtTwo, meAtLate]) {
        expect(await newest(client)).toBe('from the late one');
      }
      for (const client of [me, meAtLate]) {
        await expect.poll(() => cacheStatus(client), { timeout: 15_000 }).toBe('chatkeep; hit');
      }
      await send(meAtTwo, 'after');
      for (const client of [me, meAtLate]) expect(await newest(client)).toBe('after');
      await late.stop();
    },
  );

  it('takes a Redis that is full for one that is away', async () => {
    const { id } = await send(me, 'to be deleted');
    expect(await newest(me)).toBe('to be deleted');
    expect(await cacheStatus(me)).toBe('chatkeep; hit');
    await ofAll('CONFIG', 'SET', 'maxmemory', '1');
    await me.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id });
    expect(await newest(me)).toBeUndefined();
    await send(me, 'while it is full');
    expect(await newest(me)).toBe('while it is full');
    await ofAll('CONFIG', 'SET', 'maxmemory', '0');
    await expect.poll(() => cacheStatus(me), { timeout: 15_000 }).toBe('chatkeep; hit');
    expect(await newest(me)).toBe('while it is full');
  });
});
