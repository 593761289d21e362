import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Any, type Client, HISTORY, SEARCH, SEND, send, signIn } from './kit/client.ts';
import { createTestDatabase, directUrlOf } from './kit/database.ts';
import { type Gate, startGate } from './kit/gate.ts';
import { startServer, type TestServer } from './kit/server.ts';

/*
 * PostgreSQL can be 20 ms away. Not by how long it takes: by how often something is said to it after an answer
 * has come. Past the pooler of the tests, behind which statements are described each time.
 */

/** So that nothing that the server does by itself is counted. */
const NEVER = 24 * 60 * 60 * 1000;
/** Statements are described to a connection before they are used the first time. */
const WARM_UPS = 8;

let gate: Gate;
let server: TestServer;
let me: Client;
let id: string;

beforeAll(async () => {
  const database = await createTestDatabase();
  gate = await startGate(directUrlOf(database));
  server = await startServer({
    env: { DATABASE_URL: gate.url, MIGRATION_DATABASE_URL: database.ownerUrl },
    replyTiming: { sweepMs: NEVER, heartbeatMs: NEVER, pollMs: NEVER, lookMs: NEVER },
  });
  me = await signIn(server);
  ({ id } = await send(me, 'a word'));
});
afterAll(async () => {
  gate?.open();
  await server?.stop();
  gate?.close();
});

interface Operation {
  readonly what: string;
  readonly query: string;
  /** Others each time, for what would be found in the cache. */
  readonly variables: (n: number) => object;
}

const READS: readonly Operation[] = [
  {
    what: 'the newest page',
    query: HISTORY,
    variables: (n) => ({ first: 1 + n }),
  },
  {
    what: 'the oldest page',
    query: HISTORY,
    variables: (n) => ({ last: 1 + n, filter: { from: '2020-01-01T00:00:00Z' } }),
  },
  {
    what: 'a search',
    query: SEARCH,
    variables: (n) => ({ query: 'word', first: 1 + n }),
  },
  {
    what: 'a message',
    query: 'query ($id: ID!) { message(id: $id) { message } }',
    variables: () => ({ id }),
  },
];

it.each(READS)('reads $what in one trip', async ({ query, variables }) => {
  for (let n = 0; n < WARM_UPS; n += 1) await me.data(query, variables(n));
  gate.delay(20);
  const before = gate.trips;
  await me.data(query, variables(WARM_UPS));
  expect(gate.trips - before).toBe(1);
  gate.open();
});

it('reads a page that has been read before in one trip too, whoever asks', async () => {
  const other = await signIn(server);
  for (let n = 0; n < WARM_UPS; n += 1) await me.data(HISTORY, { first: 50 });
  gate.delay(20);
  const before = gate.trips;
  await other.data(HISTORY, { first: 50 });
  expect(gate.trips - before).toBe(1);
  gate.open();
});

it.each([
  { what: 'without an id', trips: 1, input: () => ({ message: 'hello' }) },
  { what: "with the client's id", trips: 2, input: () => ({ message: 'hello', id: randomUUID() }) },
])('acknowledges a message $what after $trips', async ({ trips, input }) => {
  for (let n = 0; n < WARM_UPS; n += 1) await send(me, 'warm-up', { id: randomUUID() });
  gate.delay(20);
  // What comes after these is for the reply, and gets no answer before the client has its own.
  gate.allow(trips);
  const sent = await me.data<Any>(SEND, { input: { ...input(), awaitReply: false } });
  expect(sent.sendMessage.message.status).toBe('PENDING');
  gate.open();
});
