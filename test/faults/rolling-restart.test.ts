import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { decodeChangeCursor } from '../../src/resolvers/cursor.ts';
import { createLiveClient } from '../../web/live/client.ts';
import type { Door } from '../kit/balancer.ts';
import { type Any, type Client, clientOf, failureOf, HISTORY, signIn } from '../kit/client.ts';
import type { Behaviour } from '../kit/gemini-server.ts';
import { type Exchange, readHistory, storedHistory } from '../kit/history.ts';
import { type Installation, type Member, startInstallation } from '../kit/installation.ts';
import { createLedger, type Ledger } from '../kit/ledger.ts';
import { isLong, times } from '../kit/promises.ts';
import { createRandom, type Random, SEED } from '../kit/random.ts';
import { collect, EVENTS } from '../kit/subscriptions.ts';
import { report } from '../kit/trials.ts';

/** In each of which every process is replaced once. */
const ROUNDS = times(1, 3);
const PEOPLE = times(2, 4);
const WRITERS = 3;
/** Ten seconds is what `docker stop` gives; two more for a machine that has much to do. */
const STOP_MS = 12_000;

const SEND = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { message { id message status } }
}`;

const READ = 'query Read($id: ID!) { message(id: $id) { message } }';

/** A device that comes back by itself, and what it knows. */
interface Device {
  readonly states: Map<string, Any>;
  close(): unknown;
}

interface Person {
  readonly client: Client;
  readonly door: Door;
  readonly ledger: Ledger;
  readonly devices: Device[];
}

let chatkeep: Installation;
let violations: string[] = [];
let resumed = 0;

beforeAll(async () => {
  chatkeep = await startInstallation({ members: 3 });
});
afterAll(() => chatkeep?.stop());

/** Replies of all lengths up to half a second; some in the long form are never finished. */
function behaviours(random: Random): Behaviour[] {
  return Array.from({ length: 20_000 }, () => {
    if (isLong && random.oneIn(400)) return { chunks: ['it ', 'hangs'], end: 'stall' };
    return {
      chunks: [
        { text: 'all ', after: random.below(200) },
        { text: 'is ', after: random.below(100) },
        { text: 'well', after: random.below(200) },
      ],
    };
  });
}

function createStates(userId: string) {
  const states = new Map<string, Any>();
  let last = 0n;
  return {
    states,
    apply({ data, errors }: Any): string | undefined {
      const event = data?.chatEvents;
      if (!event) violations.push(`an event of nothing: ${JSON.stringify(errors)}`);
      if (!event?.cursor) return undefined;
      const seq = decodeChangeCursor(userId, 'after', event.cursor) as bigint;
      const isNew = event.__typename === 'CaughtUp' ? seq >= last : seq > last;
      if (!isNew) violations.push(`${event.__typename} ${seq} came after ${last}`);
      last = seq;
      if (event.message) states.set(event.message.id, event.message);
      return event.cursor;
    },
  };
}

function listenOverWebSocket({ client, door }: Person): Device {
  const { states, apply } = createStates(client.userId);
  let isMine = false;
  class Socket extends WebSocket {
    constructor(address: string, protocols?: string | string[]) {
      super(address, protocols);
      this.once('open', () => {
        this.once('close', (code) => {
          resumed += 1;
          if (!isMine && code !== 1001) violations.push(`a socket was closed with ${code}`);
        });
      });
    }
  }
  const live = createLiveClient({
    url: `${door.wsUrl}/graphql`,
    webSocketImpl: Socket,
    connectionParams: () => ({ authorization: `Bearer ${client.token}` }),
    onReset: () => violations.push('a cursor was not known any more'),
    longestPause: () => 50,
  });
  live.forwardSubscription({ query: EVENTS, variables: {} }).subscribe({
    next: apply,
    error: (error) => violations.push(`a subscription ended: ${JSON.stringify(error)}`),
    complete: () => {},
  });
  return {
    states,
    close() {
      isMine = true;
      return live.close();
    },
  };
}

function listenOverSse({ client, door }: Person): Device {
  const { states, apply } = createStates(client.userId);
  const sse = createSseClient({
    url: `${door.url}/graphql`,
    singleConnection: false,
    retryAttempts: 0,
    headers: { authorization: `Bearer ${client.token}` },
  });
  let isMine = false;
  let stop = () => {};
  async function listen(): Promise<void> {
    for (let after: string | undefined; !isMine; await sleep(20)) {
      const subscription = collect(sse as never, EVENTS, { after }, (value) => {
        after = apply(value) ?? after;
      });
      stop = subscription.stop;
      await subscription.ended;
      resumed += 1;
    }
  }
  const listening = listen();
  return {
    states,
    close() {
      isMine = true;
      stop();
      sse.dispose();
      return listening;
    },
  };
}

async function arrive(): Promise<Person> {
  const door = await chatkeep.balancer.door();
  const { token, userId } = await signIn(door);
  const client = clientOf(door, token, userId);
  const person: Person = { client, door, ledger: createLedger(), devices: [] };
  person.devices.push(listenOverWebSocket(person), listenOverSse(person));
  return person;
}

/** As a client does that knows no more than README.md: the same again until there is an answer. */
async function insist(client: Client, document: string, variables: object): Promise<Any> {
  for (;;) {
    const answer = await client.ask<Any>(document, variables).catch(() => undefined);
    if (answer && !answer.errors) return answer.data;
    const code = answer && failureOf(answer);
    if (code && code !== 'SERVICE_UNAVAILABLE')
      violations.push(`${code}, and not to send it again`);
    await sleep(20);
  }
}

/** Sends and reads; what was acknowledged is there. */
async function write({ client, ledger }: Person, random: Random, round: { over: boolean }) {
  while (!round.over) {
    const call = ledger.begin(randomUUID());
    const input = { id: randomUUID(), message: call.text, awaitReply: random.oneIn(2) };
    const { sendMessage } = await insist(client, SEND, { input });
    ledger.settle(call, 'ok');
    const { id, message } = sendMessage.message;
    if (id !== input.id || message !== input.message) violations.push(`${id} became another`);
    const read = await insist(client, READ, { id });
    if (read.message?.message !== call.text)
      violations.push(`${id} was acknowledged and not there`);
    await insist(client, HISTORY, { first: 10 });
  }
}

async function replace(member: Member): Promise<void> {
  const began = performance.now();
  const code = await member.stop();
  const tookMs = performance.now() - began;
  if (code !== 0) violations.push(`a process ended with ${code}: ${member.output()}`);
  if (tookMs > STOP_MS) violations.push(`a process took ${Math.round(tookMs)} ms to stop`);
  await member.start();
  const ready = await fetch(`${member.url}/ready`);
  if (ready.status !== 200) violations.push(`/ready answers ${ready.status} after a restart`);
}

const textOf = ({ id, message, response, status }: Exchange) =>
  JSON.stringify({ id, message, response, status });

/** Every process, the table and each device have the same, and that is what was sent. */
async function compare({ client, ledger, devices }: Person): Promise<void> {
  const isOver = async () =>
    (await readHistory(client)).every(({ status }) => /COMPLETE|FAILED/.test(status));
  await expect.poll(isOver, { timeout: 60_000, interval: 200 }).toBe(true);
  const shown = await readHistory(client);
  violations.push(...ledger.faultsOf(shown));
  for (const { response, status } of shown) {
    const isWhole = status === 'COMPLETE' && response === 'all is well';
    const isCut = status === 'FAILED' && response === 'it hangs';
    if (!isWhole && !isCut) violations.push(`a reply was lost: ${status} ${response}`);
  }
  const expected = shown.map(textOf);
  const stored = await storedHistory(chatkeep.postgres.ownerUrl, client.userId);
  expect(stored.map(textOf)).toEqual(expected);
  for (const member of chatkeep.members) {
    const there = await readHistory(clientOf(member, client.token));
    expect(there.map(textOf)).toEqual(expected);
  }
  for (const { states } of devices) {
    const known = () => [...states.values()].map(textOf).sort();
    await expect.poll(known).toEqual(expected.toSorted());
  }
}

describe('a rolling restart', () => {
  it(`loses nothing, doubles nothing and keeps nobody, SEED=${SEED}`, {
    timeout: times(120_000, 600_000),
  }, async ({ task }) => {
    violations = [];
    const random = createRandom(SEED);
    chatkeep.gemini.script(...behaviours(createRandom(SEED + 1)));
    const people = await Promise.all(Array.from({ length: PEOPLE }, arrive));
    const round = { over: false };
    const writers = people.flatMap((person, i) =>
      Array.from({ length: WRITERS }, (_, n) =>
        write(person, createRandom(SEED + 100 * i + n + 2), round),
      ),
    );
    const acknowledged = () => people.reduce((sum, { ledger }) => sum + ledger.count('ok'), 0);
    let restarts = 0;
    try {
      for (let n = 0; n < ROUNDS; n += 1) {
        for (const member of chatkeep.members) {
          const enough = acknowledged() + 10 + random.below(20);
          while (acknowledged() < enough) await sleep(10);
          await replace(member);
          restarts += 1;
        }
      }
    } finally {
      round.over = true;
    }
    await Promise.all(writers);

    for (const person of people) await compare(person);
    await Promise.all(people.flatMap(({ devices }) => devices.map((device) => device.close())));
    report({ task }, 'rolling', { trials: restarts, of: 'restarts', violations });
    const others = { 'acknowledged sends': acknowledged(), 'resumed subscriptions': resumed };
    for (const [of, trials] of Object.entries(others)) {
      report({ task }, 'rolling', { trials, of, violations: [] });
    }
  });

  // Only at length: seven seconds each, since the replies that hang are waited for.
  if (isLong) {
    it('does not wait for PostgreSQL or Redis when they are away', {
      timeout: 180_000,
    }, async ({ task }) => {
      violations = [];
      const { postgres, redis, members, gemini } = chatkeep;
      const ways: [string, () => unknown, () => unknown][] = [
        [
          'both are frozen',
          async () => [await postgres.freeze(), redis.freeze()],
          async () => [await postgres.thaw(), redis.thaw()],
        ],
        ['PostgreSQL was killed', postgres.kill, postgres.start],
        ['Redis was killed', redis.kill, redis.start],
      ];
      for (const [what, begin, end] of ways) {
        const member = members[0] as Member;
        const me = await signIn(member);
        gemini.script({ chunks: ['it ', 'hangs'], end: 'stall' });
        await me.data(SEND, { input: { message: 'hello', awaitReply: false } });
        await expect.poll(() => gemini.running).toBeGreaterThan(0);
        await begin();
        const sending = me.ask<Any>(SEND, { input: { message: 'away' } }).catch(() => undefined);
        const began = performance.now();
        const code = await member.stop();
        const tookMs = performance.now() - began;
        if (code !== 0 || tookMs > STOP_MS) {
          violations.push(`${what}: ended with ${code} after ${Math.round(tookMs)} ms`);
        }
        await sending;
        await end();
        await member.start();
      }
      report({ task }, 'rolling', { trials: ways.length, of: 'stops without parts', violations });
    });
  }
});
