import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Any,
  type Client,
  failureOf,
  HISTORY,
  SEARCH,
  SEND,
  send,
  signIn,
} from '../kit/client.ts';
import { type Installation, type Member, startInstallation } from '../kit/installation.ts';
import { isLong, times } from '../kit/promises.ts';
import { collect, connect, EVENTS, type Subscription } from '../kit/subscriptions.ts';
import { report } from '../kit/trials.ts';

/** What was promised, and room for a machine that has more to do than these tests. */
const ANSWER_MS = 3_000 + 2_000;
const BACK_MS = 2_000 + 2_000;

const SPEC = { accept: 'application/graphql-response+json' };
const TREND = '{ moodTrend(from: "2026-11-01", to: "2026-11-08") { messageCount } }';

/** What can happen to PostgreSQL, and how it ends. */
interface Fault {
  readonly name: string;
  begin(): unknown;
  end(): unknown;
  /** Whether nothing at all can be asked of it. */
  readonly isGone: boolean;
  /** Of what is sent meanwhile; default: a few words. */
  readonly text?: () => string;
  /** Only in the long form: it looks like another one from where we are. */
  readonly rare?: true;
}

const faultsOf = ({ postgres, postgresGate: gate }: Installation): readonly Fault[] => [
  { name: 'killed', begin: postgres.kill, end: postgres.start, isGone: true },
  { name: 'frozen', begin: postgres.freeze, end: postgres.thaw, isGone: true },
  { name: 'cut off', begin: gate.shut, end: gate.open, isGone: true },
  { name: 'a black hole', begin: () => gate.blackHole(), end: gate.open, isGone: true, rare: true },
  { name: 'half closed', begin: gate.halfClose, end: gate.open, isGone: false },
  { name: 'slow', begin: () => gate.delay(150), end: gate.open, isGone: false, rare: true },
  {
    name: 'read-only',
    begin: () => postgres.setReadOnly(true),
    end: () => postgres.setReadOnly(false),
    isGone: false,
  },
  {
    name: 'full',
    begin: postgres.fillDisk,
    end: postgres.makeRoom,
    isGone: false,
    text: () => randomBytes(12_000).toString('base64'),
  },
];

/** One user, who remembers what was answered. */
interface Person {
  readonly client: Client;
  /** Ids of what was acknowledged, and of what may or may not be stored. */
  readonly stored: string[];
  readonly unknown: Map<string, string>;
  /** A device that is there all the time. */
  readonly events: Subscription;
}

/** How often anything was asked while PostgreSQL was away, or might be. */
let asked = 0;

let chatkeep: Installation;
let member: Member;
let admin: postgres.Sql;
beforeAll(async () => {
  chatkeep = await startInstallation();
  member = chatkeep.members[0] as Member;
  admin = postgres(chatkeep.postgres.ownerUrl, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await admin?.end({ timeout: 1 });
  await chatkeep?.stop();
});

async function newPerson(): Promise<Person> {
  const client = await signIn(member);
  const events = collect(connect(member, client.token), EVENTS);
  await events.first(({ data }) => data.chatEvents.__typename === 'CaughtUp');
  return { client, stored: [], unknown: new Map(), events };
}

/** Asks, and says what is wrong with the answer; a refusal is nothing wrong. */
async function put(
  { client }: Person,
  [query, variables]: readonly [string, object?],
  broken: (words: string) => void,
): Promise<Any> {
  const [what] = /\w+(?= *[({])/.exec(query.replace(/^.*?\{/s, '')) ?? [];
  asked += 1;
  const begun = performance.now();
  const answer = await client.ask<Any>(query, variables, SPEC);
  const ms = Math.round(performance.now() - begun);
  const failure = failureOf(answer);
  if (ms > ANSWER_MS) broken(`${what} took ${ms} ms, ${failure}`);
  if (failure && failure !== 'SERVICE_UNAVAILABLE') broken(`${what}: ${JSON.stringify(answer)}`);
  // With a field that may be null there is a result, if an empty one: then it is 200 (GraphQL over HTTP).
  const { data } = answer;
  if (answer.status !== (failure && !data ? 503 : 200)) broken(`${what}: HTTP ${answer.status}`);
  if (failure && Object.values(data ?? {}).some((value) => value !== null))
    broken(`${what} has data beside its error`);
  return answer;
}

/** Sends, and remembers what is known of it. Under no id of its own the answer has to name one. */
async function putMessage(
  person: Person,
  message: string,
  broken: (words: string) => void,
  id: string | undefined = randomUUID(),
): Promise<boolean> {
  const input = { message, awaitReply: false, ...(id && { id }) };
  const answer = await put(person, [SEND, { input }], broken);
  const named = answer.data?.sendMessage.message.id ?? answer.errors?.[0]?.extensions.id ?? id;
  if (!named) broken('a message that was refused has no id to send it again under');
  if (answer.data) {
    person.stored.push(named);
    person.unknown.delete(named);
  } else person.unknown.set(named, message);
  return answer.data !== undefined && answer.data !== null;
}

/** A page that shows the newest of what was acknowledged before it was asked for, if it was answered. */
async function putHistory(person: Person, size: number, broken: (words: string) => void) {
  const newest = person.stored.at(-1);
  const { data } = await put(person, [HISTORY, { first: size }], broken);
  const shown = data?.chatHistory.nodes.map(({ id }: Any) => id);
  if (shown && newest && !shown.includes(newest)) broken('a page lacks what was acknowledged');
}

/** Everything that can be asked, at once. */
async function askEverything(
  person: Person,
  message: string,
  broken: (words: string) => void,
): Promise<void> {
  const day = { filter: { from: new Date(Math.random() * 1e12).toISOString() } };
  await Promise.all([
    putHistory(person, 50, broken),
    put(person, [HISTORY, day], broken),
    // The same page a moment later, which nobody has yet: it waits for the first.
    sleep(200).then(() => put(person, [HISTORY, day], broken)),
    put(person, [SEARCH, { query: 'before' }], broken),
    put(person, [TREND], broken),
    put(person, ['{ viewer { id } }'], broken),
    put(person, [`{ message(id: "${person.stored[0]}") { id } }`], broken),
    put(person, ['mutation { signInAsGuest { user { id } } }'], broken),
    putMessage(person, message, broken),
    putMessage(person, message, broken, undefined),
  ]);
}

/** A device that comes just now: it is told at once, or let in. */
async function subscribeAnew({ client, events }: Person, broken: (words: string) => void) {
  const { data } = events.values[0];
  const begun = performance.now();
  const late = collect(connect(member, client.token), EVENTS, {
    after: data.chatEvents.cursor,
  });
  const caughtUp = late.first(({ data }) => data?.chatEvents.__typename === 'CaughtUp');
  const error = await Promise.race([late.ended, caughtUp.then(() => undefined)]);
  const ms = Math.round(performance.now() - begun);
  if (ms > ANSWER_MS) broken(`a subscription took ${ms} ms, ${JSON.stringify(error)}`);
  if (error && !/SERVICE_UNAVAILABLE/.test(JSON.stringify(error)))
    broken(`a subscription: ${JSON.stringify(error)}`);
  late.stop();
}

const statusOf = async (path: string) => (await fetch(`${member.url}${path}`)).status;

/** Tries until something is stored; how long that took, in ms. */
async function firstSuccess(person: Person, broken: (words: string) => void): Promise<number> {
  const begun = performance.now();
  while (!(await putMessage(person, 'back', broken))) await sleep(20);
  return performance.now() - begun;
}

/** What was acknowledged is there once; what was refused is stored once if it is sent again. */
async function checkMessages(people: readonly Person[], broken: (words: string) => void) {
  const rows = await admin<{ id: string }[]>`select id from chat_history`;
  const there = new Set(rows.map(({ id }) => id));
  for (const { stored } of people) {
    for (const id of stored) if (!there.has(id)) broken(`${id} was acknowledged and is not there`);
  }
}

async function checkEvents(people: readonly Person[], broken: (words: string) => void) {
  for (const { stored, events } of people) {
    const ended = await Promise.race([events.ended, sleep(0, 'no')]);
    if (ended !== 'no') {
      broken(`a subscription ended: ${JSON.stringify(ended)}`);
      continue;
    }
    for (const id of stored) {
      const comes = events.first(({ data }) => data?.chatEvents.message?.id === id);
      const came = await Promise.race([comes, sleep(15_000, 'never', { ref: false })]);
      if (came === 'never') return broken(`a device was never told of ${id}`);
    }
  }
}

/** Nothing that nobody expected is in its log, and it is the process that was started. */
function checkProcess(broken: (words: string) => void): void {
  const { child } = member.process;
  if (child.exitCode !== null || child.signalCode !== null) broken('the process is gone');
  const bad = /uncaught|unhandled|"level":[56]0|^\s+at /im;
  for (const line of member.output().split('\n')) if (bad.test(line)) broken(`in the log: ${line}`);
}

describe('PostgreSQL away', () => {
  it('is a clear error in time, and nothing is left of it afterwards', {
    timeout: 300_000,
  }, async ({ task }) => {
    const violations: string[] = [];
    const people = await Promise.all(Array.from({ length: times(2, 4) }, newPerson));
    const [first] = people as [Person, ...Person[]];
    for (const { client, stored } of people) stored.push((await send(client, 'before')).id);
    let trials = 0;
    for (const fault of faultsOf(chatkeep)) {
      if (fault.rare && !isLong) continue;
      const broken = (words: string) => violations.push(`${fault.name}: ${words}`);
      const message = fault.text?.() ?? 'during';
      // In the cache: may be served until its lease has run out, which is before the last wave.
      for (const person of people) await putHistory(person, 50, broken);
      await fault.begin();
      const waves = (isLong ? [0, 700, 6_000] : [0]).map(async (delayMs) => {
        await sleep(delayMs);
        await Promise.all(people.map((person) => askEverything(person, message, broken)));
      });
      const devices = Array.from({ length: 12 }, (_, n) =>
        subscribeAnew(people[n % people.length] as Person, broken),
      );
      const [health, ready] = await Promise.all([statusOf('/health'), statusOf('/ready')]);
      if (health !== 200) broken(`/health: ${health}`);
      if (fault.isGone && ready !== 503) broken(`/ready: ${ready}`);
      await Promise.all([...waves, ...devices]);
      await fault.end();
      const ms = await firstSuccess(first, broken);
      if (ms > BACK_MS) broken(`no success for ${Math.round(ms)} ms after its return`);
      trials += 1;
      for (const person of people) {
        for (const [id, text] of person.unknown) {
          // It is not full any more, but the long texts of a full one are left alone: see fillDisk.
          if (text.length < 2_000 && !(await putMessage(person, text, broken, id)))
            broken(`${id} was not stored when it was sent again`);
        }
      }
      await expect.poll(() => statusOf('/ready')).toBe(200);
    }
    await checkMessages(people, (words) => violations.push(words));
    await checkEvents(people, (words) => violations.push(words));
    checkProcess((words) => violations.push(words));
    report({ task }, 'withoutPostgres', { trials: asked, of: 'requests', violations: [] });
    report({ task }, 'withoutPostgres', { trials, of: 'outages', violations });
  });

  it('and back, again and again under many users, hangs nobody and ends nothing', {
    timeout: 300_000,
  }, async ({ task }) => {
    const violations: string[] = [];
    const broken = (words: string) => violations.push(words);
    asked = 0;
    const people: Person[] = [];
    for (let n = 0; n < times(8, 50); n += 1) people.push(await newPerson());
    let going = true;
    let restarts = 0;
    const count = { stored: 0, refused: 0 };
    const using = people.map(async (person, n) => {
      while (going) {
        const stored = await putMessage(person, `${n}`, broken);
        count[stored ? 'stored' : 'refused'] += 1;
        await putHistory(person, 50, broken);
        await sleep(100);
      }
    });
    const watcher = await newPerson();
    while (restarts < times(2, 20)) {
      await sleep(times(200, 700));
      await chatkeep.postgres.stopAtOnce();
      await sleep(restarts * 20);
      await chatkeep.postgres.start();
      const ms = await firstSuccess(watcher, broken);
      if (ms > BACK_MS) broken(`no success for ${Math.round(ms)} ms after restart ${restarts}`);
      restarts += 1;
    }
    going = false;
    await Promise.all(using);
    expect(count.stored).toBeGreaterThan(people.length);
    expect(count.refused).toBeGreaterThan(0);
    await checkMessages(people, broken);
    await checkEvents([...people, watcher], broken);
    checkProcess(broken);
    report({ task }, 'withoutPostgres', { trials: asked, of: 'requests', violations: [] });
    report({ task }, 'withoutPostgres', { trials: restarts, of: 'immediate restarts', violations });
  });
});
