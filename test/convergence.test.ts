import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { decodeChangeCursor } from '../src/resolvers/cursor.ts';
import { createLiveClient } from '../web/live/client.ts';
import { type Balancer, type Door, startBalancer } from './kit/balancer.ts';
import { type Answer, type Any, type Client, clientOf, failureOf, signIn } from './kit/client.ts';
import { createTestDatabase } from './kit/database.ts';
import { type Behaviour, type GeminiServer, startGeminiServer } from './kit/gemini-server.ts';
import { type ServerProcess, spawnServer } from './kit/process.ts';
import { createRandom, type Random, SEED } from './kit/random.ts';
import { type RedisServer, redisAvailable, startRedis } from './kit/redis.ts';

/*
 * Zulip's test: the state at t0 and the events since are the state at t1, whatever is cut in between.
 * The long form: npm run test:long. A run that failed names its seed:
 * SEED=… makes the same cuts and the same writers again (what they meet is up to the machine).
 */
const CUTS = Number(process.env['CUTS'] ?? 240);
/** After so many cuts everything is given time to settle, and compared. */
const ROUND = 60;
/** More replies than a round has. */
const SCRIPTED = 5_000;
const DEVICES = 3;
const WRITERS = 6;
/** Above it writers delete more than they send. */
const ENOUGH_MESSAGES = 250;

const MESSAGE = `id message response status failure mood moodScore personalityContext
  hasPersonalityContext createdAt updatedAt`;
const EVENTS = `subscription ($after: String) { chatEvents(after: $after) {
  __typename
  ... on MessageChanged { cursor message { ${MESSAGE} } }
  ... on MessageDeleted { cursor id }
  ... on ReplyDelta { messageId offset text }
  ... on CaughtUp { cursor }
} }`;
const PAGE = `query ($after: String) { chatHistory(first: 60, after: $after) {
  nodes { ${MESSAGE} }
  pageInfo { hasNextPage endCursor }
} }`;
const SEND =
  'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }';
const RETRY = 'mutation ($id: ID!) { retryReply(id: $id) { status } }';
const STOP = 'mutation ($id: ID!) { stopReply(id: $id) { status } }';
const DELETE = 'mutation ($id: ID!) { deleteMessage(id: $id) }';

const isRunning = ({ status }: Any) => status === 'PENDING' || status === 'STREAMING';

/** What the model says: texts that tell by their first word which one they are. */
function createTexts(random: Random) {
  const texts = new Map<string, string>();
  const tagOf = (text: string) => /^«\d+» /.exec(text)?.[0];

  function behaviour(): Behaviour {
    const tag = `«${texts.size}» `;
    const words = Array.from({ length: 1 + random.below(20) }, () =>
      random.pick(['sun', 'and', 'rain,', '🌅', 'שלום', '\n', String(random.below(1_000))]),
    );
    const text = tag + words.join(' ');
    texts.set(tag, text);
    const slowness = random.oneIn(6) ? 80 : 15;
    const chunks: { text: string; after: number }[] = [];
    for (let from = 0; from < text.length; ) {
      // Anywhere, in the middle of a surrogate pair too, but not of the tag.
      const to = Math.max(tag.length, from + 1 + random.below(12));
      chunks.push({ text: text.slice(from, to), after: random.below(slowness) });
      from = to;
    }
    if (random.oneIn(25)) return { status: 400 };
    if (random.oneIn(50)) return { status: 503 };
    const end = random.pick(['STOP', 'STOP', 'STOP', 'STOP', 'MAX_TOKENS', 'none', 'cut']);
    return { chunks: /[A-Z]/.test(end) ? chunks : chunks.slice(0, -1), end };
  }

  return {
    behaviours: (n: number) => Array.from({ length: n }, behaviour),
    /** Whether this is a reply, or the beginning of one, and not pieces of several. */
    isBeginning: (text: string) => text === '' || !!texts.get(tagOf(text) ?? '')?.startsWith(text),
    isWhole: (text: string) => texts.get(tagOf(text) ?? '') === text,
    areOne: (one: string, other: string) => tagOf(one) === tagOf(other),
  };
}

type Texts = ReturnType<typeof createTexts>;

/** What a device makes of a page and of events, and what was wrong with these. */
function createModel(userId: string, texts: Texts) {
  const messages = new Map<string, Any>();
  /** Replies as the pieces alone tell them; undefined once they have ended. */
  const replies = new Map<string, string | undefined>();
  const faults: string[] = [];
  const seen = new Set<string>();
  let last = -1n;

  const blame = (fault: string, what: unknown) => faults.push(`${fault}: ${JSON.stringify(what)}`);

  function checkOrder({ __typename, cursor }: Any): void {
    const seq = decodeChangeCursor(userId, 'after', cursor) as bigint;
    if (seq < last || (seq === last && __typename !== 'CaughtUp')) {
      blame(`number ${seq} after ${last}`, __typename);
    }
    last = seq;
  }

  function checkMessage({ id, status, response }: Any): void {
    const told = replies.get(id) ?? '';
    if (!texts.isBeginning(response)) blame('a text of several replies', response);
    if (status === 'COMPLETE') {
      if (!texts.isWhole(response)) blame('complete without its end', response);
      if (texts.areOne(told, response) && !response.startsWith(told)) blame('pieces', told);
    }
    replies.set(id, isRunning({ status }) ? '' : undefined);
  }

  function checkDelta({ messageId, offset, text }: Any): void {
    if (replies.has(messageId) && replies.get(messageId) === undefined) {
      blame('a piece after the end', text);
    }
    const known = replies.get(messageId) ?? '';
    if (offset !== known.length) blame(`a piece at ${offset} after ${known.length}`, text);
    const grown = known.slice(0, offset) + text;
    if (!texts.isBeginning(grown)) blame('pieces of several replies', grown);
    replies.set(messageId, grown);
  }

  return {
    messages,
    faults,
    /** What came, by kind and status. */
    seen,
    /** Every id that came. */
    ids: () => [...replies.keys()],
    check(e: Any): void {
      try {
        seen.add(e.message ? e.message.status : e.__typename);
        if (e.cursor) checkOrder(e);
        if (e.message) checkMessage(e.message);
        if (e.__typename === 'MessageDeleted') replies.set(e.id, undefined);
        if (e.__typename === 'ReplyDelta') checkDelta(e);
      } catch (error) {
        blame(String(error), e);
      }
    },
    apply(e: Any): void {
      if (e.message) messages.set(e.message.id, e.message);
      if (e.__typename === 'MessageDeleted') messages.delete(e.id);
      if (e.__typename !== 'ReplyDelta') return;
      const message = messages.get(e.messageId);
      if (!message) return;
      const response = message.response.slice(0, e.offset) + e.text;
      messages.set(e.messageId, { ...message, response });
    },
  };
}

/** All of a history, page by page, through whatever happens on the way. */
async function readAll(client: Client): Promise<Any[]> {
  const nodes: Any[] = [];
  for (let after: string | undefined; ; ) {
    const answer = await client.ask<Any>(PAGE, { after }).catch(() => undefined);
    if (!answer?.data) {
      await sleep(10);
      continue;
    }
    const { chatHistory } = answer.data;
    nodes.push(...chatHistory.nodes);
    if (!chatHistory.pageInfo.hasNextPage) return nodes;
    after = chatHistory.pageInfo.endCursor;
  }
}

interface Person {
  readonly client: Client;
  readonly devices: Device[];
  readonly sent: Set<string>;
  readonly deleted: Set<string>;
  /** Whose reply was stopped, or deleted, while it was written: nobody does so again. */
  readonly handled: Set<string>;
  readonly faults: string[];
}

type Device = Awaited<ReturnType<typeof openDevice>>;

/** Attaches, waits for CaughtUp, reads the history, applies what came meanwhile and what comes. */
async function openDevice(door: Door, { client }: Person, texts: Texts) {
  const model = createModel(client.userId, texts);
  let early: Any[] | undefined = [];
  let given = 0;
  const waiting = new Set<() => void>();
  const live = createLiveClient({
    url: `${door.wsUrl}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: () => ({ authorization: `Bearer ${client.token}` }),
    onReset: () => model.faults.push('the cursor was not known'),
    longestPause: () => 30,
  });
  const caughtUp = new Promise<void>((resolve) => {
    live.forwardSubscription({ query: EVENTS, variables: {} }).subscribe({
      next({ data, errors }) {
        const e: Any = data?.['chatEvents'];
        if (!e) {
          model.faults.push(JSON.stringify(errors));
          return;
        }
        model.check(e);
        if (early) early.push(e);
        else model.apply(e);
        if (e.__typename === 'CaughtUp') resolve();
        given += 1;
        for (const look of [...waiting]) look();
      },
      error: (error) => model.faults.push(`ended with ${JSON.stringify(error)}`),
      complete: () => {},
    });
  });
  await caughtUp;
  for (const message of await readAll(clientOf(door, client.token))) {
    model.messages.set(message.id, message);
  }
  for (const e of early) model.apply(e);
  early = undefined;

  return {
    door,
    model,
    /** Once so many more events have come. */
    given: (n: number) =>
      new Promise<void>((resolve) => {
        const until = given + n;
        const look = () => {
          if (given < until) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    async close() {
      await live.close();
      door.shut();
    },
  };
}

/** What of a message can be compared: while its reply is written, a page may know more or less of it. */
const settled = (message: Any) =>
  isRunning(message) ? { ...message, response: '…', status: '…', updatedAt: '…' } : message;

const byTime = (a: Any, b: Any) =>
  a.createdAt === b.createdAt ? (a.id < b.id ? 1 : -1) : a.createdAt < b.createdAt ? 1 : -1;

/** Where a device and a fresh read are not the same. */
function differences({ model }: Device, fresh: readonly Any[]): string[] {
  const shown = [...model.messages.values()].sort(byTime).map((m) => JSON.stringify(settled(m)));
  const read = fresh.map((m) => JSON.stringify(settled(m)));
  const lacks = read.filter((text) => !shown.includes(text)).map((text) => `lacks ${text}`);
  const extra = shown.filter((text) => !read.includes(text)).map((text) => `shows ${text}`);
  if (lacks.length + extra.length > 0) return [...lacks, ...extra];
  return shown.join() === read.join() ? [] : ['shows another order'];
}

/** Sends, retries, stops and deletes until the round is over; what was begun is brought to an end. */
async function write(person: Person, door: Door, random: Random, round: { over: boolean }) {
  const client = clientOf(door, person.client.token, person.client.userId);

  /** Asks until it is known what became of it: 'done' or a code; undefined if the round ended first. */
  async function ask(
    document: string,
    variables: () => object,
    { insist = true } = {},
  ): Promise<string | undefined> {
    while (insist || !round.over) {
      const answer = await client.ask(document, variables()).catch(() => undefined);
      const code = answer && (failureOf(answer as Answer<unknown>) ?? 'done');
      if (code && code !== 'SERVICE_UNAVAILABLE') return code;
      await sleep(random.below(20));
    }
    return undefined;
  }

  function expectOneOf(code: string | undefined, ...codes: (string | undefined)[]): void {
    if (!codes.includes(code)) person.faults.push(`${code} instead of ${codes}`);
  }

  const shown = (fits: (message: Any) => boolean): string | undefined =>
    random.pick([...(random.pick(person.devices)?.model.messages.values() ?? [])].filter(fits))?.id;

  async function send(): Promise<void> {
    const id = randomUUID();
    const message = `${random.pick(['I love this', 'I hate that', 'Look'])} ${id}`;
    const context = random.oneIn(3) ? { personalityContext: { mood: random.below(9) } } : {};
    const wait = random.oneIn(3);
    person.sent.add(id);
    const input = () => ({ input: { id, message, ...context, awaitReply: wait && !round.over } });
    const code = await ask(SEND, input);
    // Another device may have deleted it before the answer came.
    if (code !== 'done') {
      expectOneOf(code, 'CONFLICT', 'NOT_FOUND');
      if (!person.deleted.has(id)) person.faults.push(`${id} was ${code}, and nobody deleted it`);
    }
  }

  async function remove(id: string): Promise<void> {
    person.deleted.add(id);
    expectOneOf(await ask(DELETE, () => ({ id })), 'done', 'NOT_FOUND');
  }

  const begun: Promise<void>[] = [];

  /** Nobody waits for these: the process that writes the reply may have been killed. */
  function begin(document: string, id: string): void {
    const asked = ask(document, () => ({ id }), { insist: false });
    begun.push(asked.then((code) => expectOneOf(code, 'done', 'CONFLICT', 'NOT_FOUND', undefined)));
  }

  while (!round.over) {
    const many = (person.devices[0]?.model.messages.size ?? 0) > ENOUGH_MESSAGES;
    const what = random.below(many ? 20 : 12);
    const running = what < 3 ? shown((m) => isRunning(m) && !person.handled.has(m.id)) : undefined;
    const failed = what === 3 ? shown(({ status }) => /FAILED|STOPPED/.test(status)) : undefined;
    const old = what === 4 || what > 11 ? shown(() => true) : undefined;
    if (running) person.handled.add(running);
    if (running && what === 0) await remove(running);
    else if (running) begin(STOP, running);
    else if (failed) begin(RETRY, failed);
    else if (old) await remove(old);
    else await send();
  }
  await Promise.all(begun);
}

describe.runIf(redisAvailable)('three processes behind a load balancer', () => {
  let env: Readonly<Record<string, string>>;
  let redis: RedisServer;
  let gemini: GeminiServer;
  let balancer: Balancer;
  let servers: (ServerProcess & { readonly url: string })[];

  beforeEach(async ({ onTestFinished }) => {
    const dataDir = await mkdtemp(join(tmpdir(), 'chatkeep-convergence-'));
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
    const { url, ownerUrl } = await createTestDatabase();
    redis = await startRedis();
    onTestFinished(() => redis.stop());
    gemini = await startGeminiServer();
    onTestFinished(() => gemini.stop());
    env = {
      DATA_DIR: dataDir,
      DATABASE_URL: url,
      MIGRATION_DATABASE_URL: ownerUrl,
      REDIS_URL: redis.url,
      GEMINI_API_KEY: 'test-key',
      GEMINI_BASE_URL: gemini.url,
      RATE_LIMIT_PER_MINUTE: '1000000',
      LOG_LEVEL: 'error',
    };
    balancer = startBalancer();
    onTestFinished(() => balancer.close());
    servers = await Promise.all([start(), start(), start()]);
  });

  /** One more server, behind the balancer. */
  async function start() {
    const server = spawnServer(env);
    const { url } = await server.serving();
    balancer.targets.push(url);
    return { ...server, url };
  }

  it(`show a user the same on every device after ${CUTS} cuts, SEED=${SEED}`, {
    timeout: 120_000 + CUTS * 400,
  }, async ({ onTestFinished }) => {
    const random = createRandom(SEED);
    const texts = createTexts(createRandom(SEED + 1));
    let others = 2;
    const anotherRandom = () => createRandom(SEED + others++);

    const newPerson = async (): Promise<Person> => ({
      client: await signIn(await balancer.door()),
      devices: [],
      sent: new Set(),
      deleted: new Set(),
      handled: new Set(),
      faults: [],
    });
    const me = await newPerson();
    const stranger = await newPerson();
    const people = [me, stranger];
    const seen = new Set<string>();
    onTestFinished(async () => {
      for (const { devices } of people) for (const device of devices) await device.close();
    });

    const open = async (person: Person) => openDevice(await balancer.door(), person, texts);
    const someone = () => random.pick(me.devices);
    /** Lets so many events come to a device, or what comes in a while. */
    const some = (device: Device, n: number) => Promise.race([device.given(n), sleep(300)]);
    const killSubscribers = () => redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    let absent: Device | undefined;
    let replaced = Promise.resolve();

    async function replace(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
      await replaced;
      const [old] = servers.splice(random.below(servers.length), 1);
      if (!old) return;
      old.child.kill(signal);
      replaced = (async () => {
        servers.push(await start());
        balancer.targets.splice(balancer.targets.indexOf(old.url), 1);
        await old.exited;
      })();
      // Whoever awaits it is told; a test that has failed meanwhile is not.
      replaced.catch(() => {});
    }

    const cuts = {
      async device() {
        const device = someone();
        await some(device, random.below(12));
        device.door.cut();
      },
      /** Away for a while, and cut off again while it catches up. */
      async replay() {
        const device = someone();
        const other = me.devices.find((one) => one !== device) as Device;
        device.door.shut();
        await some(other, random.below(random.oneIn(5) ? 800 : 60));
        device.door.open();
        await some(device, 1 + random.below(random.oneIn(3) ? 120 : 8));
        device.door.cut();
      },
      /** Long enough to miss more than is read at a time. */
      leave() {
        absent = someone();
        absent.door.shut();
      },
      async comeBack() {
        if (!absent) return;
        absent.door.open();
        await some(absent, 1 + random.below(150));
        absent.door.cut();
      },
      /** One that knows nothing takes the place of another. */
      async newDevice() {
        const i = random.below(DEVICES);
        const device = await open(me);
        const [old] = me.devices.splice(i, 1, device);
        await old?.close();
        expect(old?.model.faults).toEqual([]);
      },
      async redisSubscribers() {
        await some(someone(), random.below(12));
        await killSubscribers();
      },
      async anyone() {
        await some(someone(), random.below(12));
        balancer.cutOne(random.below);
      },
      async freezeRedis() {
        redis.freeze();
        await some(someone(), random.below(100));
        redis.thaw();
      },
      async restartRedis() {
        await redis.kill();
        await some(someone(), random.below(100));
        await redis.start();
      },
      killServer: () => replace('SIGKILL'),
      replaceServer: () => replace('SIGTERM'),
    };

    function cutNumber(n: number): keyof typeof cuts {
      // Its replies are given up half a minute later: early, so that nobody waits for that.
      if (n % 400 === 35) return 'killServer';
      if (n % 200 === 110) return 'replaceServer';
      if (n % 100 === 50) return 'restartRedis';
      if (n % 50 === 20) return 'freezeRedis';
      if (n % ROUND === 5) return 'leave';
      if (n % ROUND === 55) return 'comeBack';
      if (random.oneIn(20)) return 'newDevice';
      if (random.oneIn(10)) return 'replay';
      return random.pick(['device', 'device', 'redisSubscribers', 'anyone']);
    }

    /** No process writes a reply any more. */
    async function quiet(): Promise<void> {
      const running = async ({ url }: { url: string }) =>
        /chatkeep_replies_running (\d+)/.exec(await (await fetch(`${url}/metrics`)).text())?.[1];
      const all = () => Promise.all(servers.map(running));
      await expect.poll(all, { timeout: 30_000 }).toEqual(servers.map(() => '0'));
    }

    /** With nobody writing, every device gets to show what a fresh read gives. */
    async function expectTheSame(): Promise<void> {
      for (const { client, devices, sent, deleted, faults } of people) {
        const wrong = () => [...faults, ...devices.flatMap(({ model }) => model.faults)];
        expect(wrong()).toEqual([]);
        const compare = async () => {
          const fresh = await readAll(client);
          return devices.map((device) => differences(device, fresh));
        };
        await expect.poll(compare, { timeout: 20_000 }).toEqual(devices.map(() => []));
        const ids = (await readAll(client)).map(({ id }) => id);
        expect(ids.toSorted()).toEqual([...sent].filter((id) => !deleted.has(id)).toSorted());
        for (const { model } of devices) {
          expect(model.ids().filter((id) => !sent.has(id))).toEqual([]);
          for (const kind of model.seen) seen.add(kind);
        }
        expect(wrong()).toEqual([]);
      }
    }

    const writers = [];
    for (const person of [...Array.from({ length: WRITERS }, () => me), stranger]) {
      writers.push({ person, door: await balancer.door(), random: anotherRandom() });
    }

    let script: Behaviour[] = [];
    for (let n = 0; n < CUTS; ) {
      script = script.slice(gemini.requests.length);
      script.push(...texts.behaviours(SCRIPTED - script.length));
      gemini.reset();
      gemini.script(...script);
      const round = { over: false };
      const writing = writers.map(({ person, door, random }) => write(person, door, random, round));
      // The first ones attach while there is much going on.
      while (me.devices.length < DEVICES) me.devices.push(await open(me));
      while (stranger.devices.length < 1) stranger.devices.push(await open(stranger));
      for (const end = Math.min(n + ROUND, CUTS); n < end; n += 1) await cuts[cutNumber(n)]();
      for (const { door } of me.devices) door.open();
      round.over = true;
      // Whoever waits for a reply is hung up on: it may be one of a server that was killed.
      for (const { door } of writers) door.cut();
      await Promise.all(writing);
      await replaced;
      await quiet();
      // One change alone, with the hint lost and nothing to follow that would make up for it.
      const [id] = [...me.sent].filter((id) => !me.deleted.has(id));
      if (id) {
        await killSubscribers();
        me.deleted.add(id);
        await clientOf(random.pick(servers), me.client.token).data(DELETE, { id });
      }
      await expectTheSame();
    }

    const running = async () => (await readAll(me.client)).filter(isRunning).length;
    await expect.poll(running, { timeout: 60_000 }).toBe(0);
    await expectTheSame();
    expect([...seen]).toEqual(
      expect.arrayContaining([
        'CaughtUp',
        'MessageDeleted',
        'ReplyDelta',
        'PENDING',
        'COMPLETE',
        'FAILED',
        'STOPPED',
      ]),
    );
  });
});
