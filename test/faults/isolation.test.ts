import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type GraphQLInputType, getNamedType } from 'graphql';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { encodeChangeCursor, encodeCursor } from '../../src/resolvers/cursor.ts';
import { schema } from '../../src/schema/index.ts';
import { type Any, type Client, HISTORY, SEARCH, send, signIn } from '../kit/client.ts';
import {
  enumValue,
  type Leaf,
  leavesOf,
  type Operation,
  operationsOf,
  type Request,
  requestOf,
  withValue,
} from '../kit/operations.ts';
import { isLong, times } from '../kit/promises.ts';
import { type RedisServer, redisAvailable, startRedis } from '../kit/redis.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { collect, connect, subscribed } from '../kit/subscriptions.ts';
import { transports } from '../kit/transports.ts';
import { report } from '../kit/trials.ts';
import { inCursor, rowsOf, seedVictim, type Victim } from '../kit/victim.ts';

let server: TestServer;
let admin: postgres.Sql;
let victim: Victim;

beforeAll(async () => {
  server = await startServer();
  admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
  victim = await seedVictim(server, admin);
});
afterAll(async () => {
  await admin?.end();
  await server?.stop();
});

type Meaning = 'id' | 'cursor' | 'text' | 'data' | 'harmless';

const OF_SCALARS: Readonly<Record<string, Meaning>> = {
  ID: 'id',
  JSON: 'data',
  Int: 'harmless',
  Boolean: 'harmless',
  Date: 'harmless',
  DateTime: 'harmless',
};
const OF_STRINGS: Readonly<Record<string, Meaning>> = {
  'chatHistory.after': 'cursor',
  'chatHistory.before': 'cursor',
  'searchChats.after': 'cursor',
  'searchChats.query': 'text',
  'moodTrend.timeZone': 'harmless',
  'chatEvents.after': 'cursor',
  'SendMessageInput.message': 'text',
};

/** What an argument means, so that what comes in with a new one is put to the test, or fails it. */
function meaningOf({ coordinate, type }: Leaf): Meaning {
  if (enumValue(type) !== undefined) return 'harmless';
  const { name } = getNamedType(type);
  const meaning = name === 'String' ? OF_STRINGS[coordinate] : OF_SCALARS[name];
  if (!meaning) throw new Error(`Teach this test what ${coordinate}, a ${name}, means.`);
  return meaning;
}

/** What an argument is given while another one is put to the test. */
function usual(coordinate: string, type: GraphQLInputType): unknown {
  const name = coordinate.replace(/^.*\./, '');
  // The order that has cursors of its own.
  if (coordinate === 'searchChats.orderBy') return 'RELEVANCE';
  const chosen = enumValue(type);
  if (chosen !== undefined) return chosen;
  switch (getNamedType(type).name) {
    case 'ID':
      return randomUUID();
    case 'Int':
      return name === 'offset' ? 0 : 50;
    case 'Boolean':
      return name !== 'awaitReply';
    case 'Date':
      return name === 'from' ? '2021-01-01' : '2022-01-01';
    case 'DateTime':
      return name === 'from' ? '2000-01-01T00:00:00Z' : '2100-01-01T00:00:00Z';
    case 'JSON':
      return {};
    default:
      if (name === 'timeZone') return 'Europe/Berlin';
      return OF_STRINGS[coordinate] === 'cursor' ? null : 'the words of nobody';
  }
}

/** A value of the victim's, and one of the same form that never was anybody's. */
interface Twins {
  readonly what: string;
  readonly theirs: (me: Client) => unknown;
  readonly nobodys: (me: Client) => unknown;
}

const twins = (what: string, theirs: unknown, nobodys: unknown): Twins => ({
  what,
  theirs: () => theirs,
  nobodys: () => nobodys,
});

function twinsOf(meaning: Meaning): readonly Twins[] {
  if (meaning === 'id') {
    const made = new Map(Object.keys(victim.ids).map((state) => [state, randomUUID()]));
    return [
      ...Object.entries(victim.ids).map(([state, id]) => twins(state, id, made.get(state))),
      // The same message once more, for both of them.
      twins(
        'upper case',
        victim.ids['COMPLETE']?.toUpperCase(),
        made.get('COMPLETE')?.toUpperCase(),
      ),
      twins('user', victim.userId, randomUUID()),
    ];
  }
  if (meaning === 'text') {
    return [
      twins('message', victim.canary, victim.canary.replace(/\S/g, 'x')),
      twins('user', victim.userId, randomUUID()),
    ];
  }
  if (meaning === 'data') {
    return [twins('ids', { id: victim.ids['COMPLETE'] }, { id: randomUUID() })];
  }
  if (meaning === 'harmless') return [];
  return victim.cursors.flatMap(({ cursor, place, seq }): Twins[] => {
    const of = (userId: string, id: string) =>
      place
        ? encodeCursor(userId, { createdAt: place.createdAt, id })
        : encodeChangeCursor(userId, seq ?? 0n);
    const id = randomUUID();
    return [
      twins(cursor, cursor, of(randomUUID(), id)),
      // Its checksum is no secret: anybody can make one that is good for themselves.
      {
        what: `${cursor} made one's own`,
        theirs: (me) => of(me.userId, place?.id ?? ''),
        nobodys: (me) => of(me.userId, id),
      },
    ];
  });
}

interface Case {
  readonly what: string;
  readonly operation: Operation;
  readonly request: Request;
  readonly leaf?: Leaf;
  readonly values?: Twins;
}

/** Each operation with each of its arguments, alone and beside each other one, and each foreign value. */
function casesOf(operation: Operation): Case[] {
  const { field } = operation;
  const names = field.args.map((arg) => arg.name);
  const choices = (own: readonly string[]) => [
    { also: own, full: false },
    ...names
      .filter((name) => !own.includes(name))
      .map((name) => ({ also: [...own, name], full: false })),
    { also: names, full: true },
  ];
  const request = (choice: { also: readonly string[]; full: boolean }) =>
    requestOf(operation, { ...choice, valueOf: usual });
  const foreign = leavesOf(operation).flatMap((leaf) =>
    twinsOf(meaningOf(leaf)).flatMap((values) =>
      choices([leaf.path[0]]).map((choice) => ({
        what: `${field.name}: ${leaf.coordinate} is ${values.what}, beside ${choice.also}`,
        operation,
        request: request(choice),
        leaf,
        values,
      })),
    ),
  );
  const plain = choices([]).map((choice) => ({
    what: `${field.name} with ${choice.also}`,
    operation,
    request: request(choice),
  }));
  return [...plain, ...foreign];
}

/** What differs between two users, two moments and two values is taken out. */
function shapeOf(answer: unknown, me: Client, given: string): string {
  // A search says of each word what it has understood.
  const words = given.split(' ').flatMap((word) => [word, word.toLowerCase()]);
  return [given, given.toLowerCase(), ...words]
    .reduce((text, part) => text.replaceAll(part, '‹given›'), JSON.stringify(answer))
    .replaceAll(me.userId, '‹me›')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '‹at›')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '‹id›')
    .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '‹token›')
    .replace(/[\w-]{20,}/g, (text) => {
      const inside = inCursor(text);
      return inside === '' ? text : inside.startsWith('change') ? `‹${inside}›` : '‹cursor›';
    });
}

const givenOf = (value: unknown): string =>
  typeof value === 'string' ? value : String((value as { id?: string } | undefined)?.id ?? '\n');

/** A user who has said one thing. */
async function newcomer(): Promise<Client> {
  const client = await signIn(server);
  await send(client, 'one thing of my own');
  return client;
}

/** What leaves something behind under a foreign id, or a foreign text, is tried last. */
const lateness = ({ operation, leaf }: Case): number =>
  Number(operation.field.name === 'sendMessage') +
  (leaf ? { id: 0, cursor: 0, harmless: 0, text: 2, data: 4 }[meaningOf(leaf)] : 0);

/** Beside the two that all operations go over; the first event is the answer. */
const get: (typeof transports)[number]['ask'] = async ({ url }, { query, variables }, token) => {
  const search = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  const response = await fetch(`${url}/graphql?${search}`, {
    headers: { accept: 'application/json', authorization: `Bearer ${token}` },
  });
  return (await response.json()) as Any;
};

const ways = [...transports, { transport: 'GET', ask: get }];

describe("another user's values", () => {
  it.for(ways)(
    'are worth what anybody makes up, over $transport',
    { timeout: times(60_000, 300_000) },
    async ({ transport, ask }, context) => {
      const before = await rowsOf(admin, victim.userId);
      const violations: string[] = [];
      let trials = 0;
      const cases = operationsOf(schema)
        .filter(({ kind }) => transport !== 'GET' || kind === 'query')
        .flatMap(casesOf)
        // A subscription that is not refused answers only once something happens: see below.
        .filter(({ operation, leaf }) => leaf || operation.kind !== 'subscription')
        .toSorted((a, b) => lateness(a) - lateness(b));
      for (let round = 0; round < times(1, 2); round += 1) {
        // Two who do the same, one with values of the victim's and the other with nobody's.
        const [intruder, other] = [await newcomer(), await newcomer()];
        for (const [n, { what, request, leaf, values }] of cases.entries()) {
          // In the short form each goes over one of the ways.
          if (!isLong && n % ways.length !== ways.findIndex((way) => way.transport === transport)) {
            if (transport !== 'WebSocket' || !/^subscription/.test(request.query)) continue;
          }
          const outcome = async (me: Client, value: unknown) => {
            const asked = leaf ? withValue(request, leaf, value) : request;
            const answer = await Promise.race([
              ask(server, asked, me.token),
              sleep(10_000, 'none'),
            ]);
            return { answer, shape: shapeOf(answer, me, givenOf(value)) };
          };
          const theirs = values?.theirs(intruder);
          const [mine, theSame] = await Promise.all([
            outcome(intruder, theirs),
            outcome(other, values?.nobodys(other)),
          ]);
          trials += 1;
          const traces = victim.tracesIn(JSON.stringify(mine.answer), givenOf(theirs));
          if (traces.length > 0) violations.push(`${what}: got ${traces} in ${mine.shape}`);
          if (mine.shape !== theSame.shape)
            violations.push(`${what}: ${mine.shape} is not ${theSame.shape}`);
          if (/INTERNAL_SERVER_ERROR|VALIDATION_FAILED/.test(JSON.stringify(mine.answer)))
            violations.push(`${what}: ${mine.shape}`);
        }
      }
      if ((await rowsOf(admin, victim.userId)) !== before)
        violations.push("the victim's data are not as they were");
      report(context, 'isolation', { trials, of: `combinations over ${transport}`, violations });
    },
  );

  it('are what the test has put to the test', async () => {
    // What it would have found is there to be found.
    const own = await transports[0]?.ask(server, { query: HISTORY }, victim.client.token);
    expect(victim.tracesIn(JSON.stringify(own)).length).toBeGreaterThan(5);
    const cursors = JSON.stringify(victim.cursors.map(({ cursor }) => cursor));
    expect(victim.tracesIn(cursors)).toEqual(
      expect.arrayContaining(['77700', victim.ids['FAILED']]),
    );
  });
});

/** What a device is told in a stream over HTTP, as text. */
function listen(query: string, { token }: Client, accept: string) {
  const ending = new AbortController();
  let text = '';
  const done = fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${token}` },
    body: JSON.stringify({ query }),
    signal: ending.signal,
  })
    .then(async ({ body }) => {
      for await (const chunk of body as ReadableStream<Uint8Array>) text += Buffer.from(chunk);
    })
    .catch(() => {});
  return {
    heard: () => text,
    stop() {
      ending.abort();
      return done;
    },
  };
}

/** The same over a WebSocket. */
function listenOnSocket(query: string, { token }: Client) {
  const device = connect(server, token);
  const { values } = collect(device, query);
  return { heard: () => JSON.stringify(values), stop: async () => device.dispose() };
}

describe("another user's events", () => {
  it('come to none of the devices of others', {
    timeout: times(60_000, 300_000),
  }, async (context) => {
    const violations: string[] = [];
    let trials = 0;
    const queries = operationsOf(schema)
      .filter(({ kind }) => kind === 'subscription')
      .map((operation) => requestOf(operation, { also: [], full: false, valueOf: usual }).query);
    for (let round = 0; round < times(1, 8); round += 1) {
      const intruder = await newcomer();
      const devices = queries.flatMap((query) => [
        listenOnSocket(query, intruder),
        listen(query, intruder, 'text/event-stream'),
        listen(query, intruder, 'multipart/mixed'),
      ]);
      const watching = listen(queries[0] as string, victim.client, 'text/event-stream');
      await subscribed(server, devices.length + 1);
      const said = await send(victim.client, `live, and about ${victim.canary}`);
      await victim.client.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id: said.id });
      await expect.poll(watching.heard).toContain(said.id);
      // What comes to the intruder comes after whatever had leaked.
      await send(intruder, 'the last of my own');
      for (const { heard, stop } of devices) {
        await expect.poll(heard).toContain('the last of my own');
        trials += 1;
        const traces = [
          ...victim.tracesIn(heard()),
          ...(heard().includes(said.id) ? [said.id] : []),
        ];
        if (traces.length > 0) violations.push(`got ${traces} in ${heard()}`);
        await stop();
      }
      await watching.stop();
      await subscribed(server, 0);
    }
    report(context, 'isolation', { trials, of: 'devices that listen', violations });
  });
});

describe.each(['memory', 'Redis'])("another user's cached page, in %s", (form) => {
  it.runIf(form === 'memory' || redisAvailable)(
    'is given to nobody else',
    { timeout: times(60_000, 300_000) },
    async (context) => {
      let redis: RedisServer | undefined;
      if (form === 'Redis') redis = await startRedis();
      const other = await startServer({ env: redis ? { REDIS_URL: redis.url } : {} });
      onTestFinished(async () => {
        await other.stop();
        await redis?.stop();
      });
      const [theirs, mine] = [await signIn(other), await signIn(other)];
      const secret = `cached ${randomUUID()}`;
      await send(theirs, secret);
      await send(mine, 'one thing of my own');
      const violations: string[] = [];
      let trials = 0;
      let hits = 0;

      const asked = async (who: Client, page: Page, etag?: string) => {
        const search = new URLSearchParams({
          query: page.query,
          variables: JSON.stringify(page.variables),
        });
        const response = await fetch(
          page.isGet ? `${other.url}/graphql?${search}` : `${other.url}/graphql`,
          {
            method: page.isGet ? 'GET' : 'POST',
            headers: {
              accept: 'application/json',
              authorization: `Bearer ${who.token}`,
              ...(page.isGet ? {} : { 'content-type': 'application/json' }),
              ...(etag && { 'if-none-match': etag }),
            },
            ...(page.isGet
              ? {}
              : { body: JSON.stringify({ query: page.query, variables: page.variables }) }),
          },
        );
        hits += Number(response.headers.get('cache-status')?.includes('hit') ?? false);
        return {
          etag: response.headers.get('etag') ?? undefined,
          status: response.status,
          text: await response.text(),
        };
      };
      const look = async (page: Page, etag?: string) => {
        const { status, text } = await asked(mine, page, etag);
        trials += 1;
        if (status !== 200 || text.includes(theirs.userId) || text.includes(secret))
          violations.push(`${nameOf(page)}: ${status} ${text}`);
      };
      for (let n = 1; n <= times(8, 100); n += 1) {
        for (const query of [HISTORY, SEARCH]) {
          const page: Page = {
            query,
            variables: query === SEARCH ? { query: secret, first: n } : { first: n },
            isGet: n % 2 === 0,
          };
          // At once where nobody has asked before, in turns; then where both are known.
          const first =
            n % 4 < 2 ? [asked(theirs, page), look(page)] : [look(page), asked(theirs, page)];
          await Promise.all(first);
          const { etag, text } = await asked(theirs, page);
          if (!text.includes(secret)) violations.push(`not even its owner gets ${nameOf(page)}`);
          await look(page);
          await look(page, etag);
        }
      }
      // Otherwise nothing was put to the test.
      expect(hits).toBeGreaterThan(trials / 3);
      report(context, 'isolation', {
        trials,
        of: `pages beside a cached one, in ${form}`,
        violations,
      });
    },
  );
});

interface Page {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly isGet: boolean;
}

const nameOf = ({ query, variables, isGet }: Page): string =>
  `${isGet ? 'GET' : 'POST'} ${query.slice(0, 13)} ${JSON.stringify(variables)}`;
