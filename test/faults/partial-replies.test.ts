import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Any, type Client, clientOf, failureOf, SEND, signIn } from '../kit/client.ts';
import { type Behaviour, type GeminiServer, startGeminiServer } from '../kit/gemini-server.ts';
import type { Timing } from '../kit/impatient-server.ts';
import { type Installation, type Member, startInstallation } from '../kit/installation.ts';
import { isLong, times } from '../kit/promises.ts';
import { collect, connect, EVENTS, type Subscription } from '../kit/subscriptions.ts';
import { report } from '../kit/trials.ts';

/*
 * Replies whose stream breaks in every way, and whose server, PostgreSQL or Redis goes away while they
 * are written. They are looked at where people and programs see them: in the answer, over HTTP, over
 * chatEvents, in the table; while they are written and afterwards.
 */

/** The product gives a reply a minute. With these times all of it happens within a few seconds. */
const FAST: Timing = {
  replies: {
    leaseMs: 3_000,
    heartbeatMs: 200,
    sweepMs: 300,
    progressMs: 50,
    pollMs: 300,
    lookMs: 500,
    wholeMs: 2_000,
  },
  gemini: { firstTokenMs: 1_000, betweenTokensMs: 800, totalMs: 1_500, backoffMs: 20 },
};

const MINUTE = 60_000;
/** The same minute for the shorter times, with room for a loaded machine. */
const SOON = 20_000;

/** What the model does with one message, and what may be said of it. */
interface Case {
  readonly name: string;
  readonly behaviour: Behaviour;
  /** All that the model has to say, as it is stored. */
  readonly says: string;
  /**
   * Whether the stream ended with STOP, or MAX_TOKENS, after all of it; `either` is up to the moment. What
   * ended well may have FAILED all the same: with these times a loaded machine can be too slow for it.
   */
  readonly ends: 'whole' | 'at its limit' | 'broken' | 'either';
}

interface Row {
  readonly id: string;
  readonly message: string;
  readonly response: string;
  readonly status: string;
  readonly failure?: string | null;
}

// Characters of two, three and four bytes, an emoji of several, and a surrogate pair in two pieces.
const CHUNKS = ['Grüße 👩‍🚀', ' und \ud83d', '\ude00 sowie ½ ', '— Ende 漢'];
const SAYS = CHUNKS.join('');
const GOOD_ENDS = ['STOP', 'stop on each', 'stop first', 'MAX_TOKENS'];
const endsWith = (end: string) => (end === 'MAX_TOKENS' ? 'at its limit' : 'whole');

/** Cases know each other by their number, which is the message. */
const cases: Case[] = [];
/** Messages whose reply is being written anew, now as a whole one. */
const retried = new Set<string>();
const caseOf = (message: string): Case => cases[Number(message.split(' ')[1])] as Case;

function add(...added: readonly Case[]): string[] {
  return added.map((one) => `Case ${cases.push(one) - 1} ${one.name}`);
}

/** What is wrong with a message as it was seen. */
function faultOf(row: Row): string | undefined {
  const { says, ends, name } = retried.has(row.message)
    ? ({ ...caseOf(row.message), ends: 'either' } as const)
    : caseOf(row.message);
  const isWhole = row.response === says;
  const problem = () => {
    if (!says.startsWith(row.response)) return 'is not what the model said';
    if (row.status === 'COMPLETE') {
      if (!isWhole) return 'is COMPLETE and is not all';
      if (ends === 'broken') return 'is COMPLETE and the stream had not ended';
      if (ends === 'at its limit' && row.failure === null) return 'does not say that it was cut';
      if (ends === 'whole' && row.failure) return 'is COMPLETE with a failure';
    }
    if (row.status === 'FAILED' && row.failure === null) return 'does not say why it FAILED';
    return undefined;
  };
  const found = problem();
  return found && `${name}: ${found}: ${JSON.stringify(row)}`;
}

const isEnded = ({ status }: Row) => status !== 'PENDING' && status !== 'STREAMING';

const FIELDS = 'id message response status failure';
const PAGE = `query ($after: String) { chatHistory(first: 100, after: $after) {
  nodes { ${FIELDS} } pageInfo { hasNextPage endCursor } } }`;
const STOP = `mutation ($id: ID!) { stopReply(id: $id) { ${FIELDS} } }`;
const RETRY = `mutation ($id: ID!) { retryReply(id: $id) { ${FIELDS} } }`;

/** A person at the member that writes, with a device at the one that stays. */
interface Person {
  readonly writer: Client;
  readonly reader: Client;
  readonly device: Subscription;
}

async function newPerson(at: Member, elsewhere: Member): Promise<Person> {
  const writer = await signIn(at);
  const device = collect(connect(elsewhere, writer.token), EVENTS);
  await device.nth(1);
  return { writer, reader: clientOf(elsewhere, writer.token, writer.userId), device };
}

async function historyOf({ reader }: Person): Promise<Row[]> {
  const rows: Row[] = [];
  let after: string | undefined;
  do {
    const { chatHistory } = await reader.data<Any>(PAGE, { after });
    rows.push(...chatHistory.nodes);
    after = chatHistory.pageInfo.hasNextPage ? chatHistory.pageInfo.endCursor : undefined;
  } while (after);
  return rows;
}

/** What the device has been told of each message, as it would show it; and what was wrong with it. */
function shownBy({ device }: Person): { rows: Map<string, Row>; faults: string[] } {
  const rows = new Map<string, Row>();
  const faults: string[] = [];
  const look = (row: Row) => {
    const fault = faultOf(row);
    if (fault) faults.push(`chatEvents: ${fault}`);
  };
  for (const { data } of device.values) {
    const event = data.chatEvents;
    if (event.__typename === 'MessageChanged') {
      const known = rows.get(event.message.id);
      if (known?.status === 'COMPLETE') faults.push(`chatEvents: changed after COMPLETE: ${known}`);
      rows.set(event.message.id, event.message);
      look(event.message);
    }
    if (event.__typename === 'ReplyDelta') {
      const known = rows.get(event.messageId) as Row;
      if (isEnded(known)) faults.push(`chatEvents: more after its end: ${JSON.stringify(known)}`);
      const row = { ...known, response: known.response.slice(0, event.offset) + event.text };
      rows.set(known.id, row);
      look(row);
    }
  }
  return { rows, faults };
}

/** Waits until these people's devices show all that is stored, and that it has ended; says what does not in time. */
async function untilEnded(
  people: readonly Person[],
  ownerUrl: string,
  withinMs: number,
): Promise<string[]> {
  const deadline = performance.now() + withinMs;
  const admin = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  try {
    for (;;) {
      const open: string[] = [];
      for (const person of people) {
        const { rows } = shownBy(person);
        const stored = await admin<Row[]>`
          select id, message from chat_history where user_id = ${person.writer.userId}`;
        for (const { id, message } of stored) {
          const row = rows.get(id);
          if (!row) open.push(`not shown on a device: ${message}`);
          else if (!isEnded(row))
            open.push(`still being written on a device: ${JSON.stringify(row)}`);
        }
      }
      if (open.length === 0 || performance.now() > deadline) return open;
      await sleep(50);
    }
  } finally {
    await admin.end();
  }
}

/** Looks at all of these people's messages everywhere. */
async function faultsOf(people: readonly Person[], ownerUrl: string): Promise<string[]> {
  const faults: string[] = [];
  const admin = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  const ids = people.map(({ writer }) => writer.userId);
  const stored = await admin<(Row & { user_id: string })[]>`
    select user_id, id, message, response, status, failure from chat_history where user_id in ${admin(ids)}`;
  const [leases] = await admin`
    select count(*)::int as left from chat_reply_leases where user_id in ${admin(ids)}`;
  await admin.end();
  if (leases?.['left'] !== 0) faults.push(`${leases?.['left']} leases are left`);
  const look = (where: string, row: Row | undefined, id: string) => {
    const fault = row ? faultOf(row) : `does not know ${id}`;
    if (fault) faults.push(`${where}: ${fault}`);
    if (row && !isEnded(row)) faults.push(`${where}: still being written: ${JSON.stringify(row)}`);
  };
  for (const person of people) {
    const history = new Map((await historyOf(person)).map((row) => [row.id, row]));
    const { rows: shown, faults: seen } = shownBy(person);
    faults.push(...seen);
    for (const row of stored.filter(({ user_id }) => user_id === person.writer.userId)) {
      look('table', row, row.id);
      look('chatHistory', history.get(row.id), row.id);
      look('chatEvents', shown.get(row.id), row.id);
      for (const other of [history.get(row.id), shown.get(row.id)]) {
        if (other && (other.status !== row.status || other.response !== row.response)) {
          faults.push(`seen as ${JSON.stringify(other)}, stored as ${JSON.stringify(row)}`);
        }
      }
    }
  }
  return faults;
}

/** Reads histories over and over while replies are written, and says what was wrong at any time. */
function watch(people: readonly Person[]): () => Promise<string[]> {
  let isDone = false;
  const faults: string[] = [];
  const watching = (async () => {
    while (!isDone) {
      for (const { reader } of people) {
        const { data } = await reader.ask<Any>(PAGE).catch(() => ({ data: undefined }));
        for (const row of data?.chatHistory.nodes ?? []) {
          const fault = faultOf(row);
          if (fault) faults.push(`chatHistory: ${fault}`);
        }
      }
      await sleep(20);
    }
  })();
  return async () => {
    isDone = true;
    await watching;
    return faults;
  };
}

/**
 * All bytes of the model's answer, head and all, on a connection that it would keep. Not on one that it
 * said to close: there fetch takes a FIN for the end of any body, chunked or not (undici's onSocketEnd), so
 * that a cut cannot be told from the end if STOP was said before.
 */
async function record(gemini: GeminiServer, behaviour: Behaviour): Promise<Buffer> {
  gemini.script(behaviour);
  const { port, hostname } = new URL(gemini.url);
  const socket = connectTcp(Number(port), hostname);
  socket.write(
    'POST /v1beta/models/m:streamGenerateContent?alt=sse HTTP/1.1\r\nhost: localhost\r\n' +
      'x-goog-api-key: test-key\r\ncontent-length: 2\r\n\r\n{}',
  );
  let bytes = Buffer.alloc(0);
  while (!bytes.toString('latin1').endsWith('\r\n0\r\n\r\n')) {
    const [piece] = await once(socket, 'data');
    bytes = Buffer.concat([bytes, piece]);
  }
  socket.destroy();
  return bytes;
}

/** The answer cut after each of its bytes, or after every nth; by a FIN, now and then by a reset. */
async function cuts(gemini: GeminiServer, end: string, every: number): Promise<Case[]> {
  const wire = await record(gemini, { chunks: CHUNKS, end });
  const found: Case[] = [];
  for (let at = wire.length; at >= 0; at -= every) {
    const isReset = at % 7 === 0;
    const behaviour = {
      wire: wire.subarray(0, at).toString('base64'),
      end: isReset ? 'cut' : 'STOP',
    };
    const name = `${end}, ${isReset ? 'reset' : 'cut'} after ${at} of ${wire.length} bytes`;
    // The last chunk says that there are no more: `0`, and two line ends.
    const left = wire.length - at;
    const ends = left >= 5 ? 'broken' : isReset || left > 0 ? 'either' : endsWith(end);
    found.push({ name, behaviour, says: SAYS, ends });
  }
  return found;
}

const sse = (text: string, finishReason?: string) =>
  `data: ${JSON.stringify({ candidates: [{ content: { parts: [{ text }] }, finishReason }] })}\r\n\r\n`;

/** Pieces that come one after the other, so that the text so far is stored and told in between. */
const slowly = (chunks: readonly string[], after = 20) => chunks.map((text) => ({ text, after }));

/** Every other way to end, badly or well, after each number of pieces. */
function otherEnds(): Case[] {
  const found: Case[] = GOOD_ENDS.map((end) => ({
    name: end,
    behaviour: { chunks: slowly(CHUNKS), end },
    says: SAYS,
    ends: endsWith(end),
  }));
  const broken = (name: string, behaviour: Behaviour, says = SAYS) =>
    found.push({ name, behaviour, says, ends: 'broken' });
  for (let n = 0; n <= CHUNKS.length; n += 1) {
    const chunks = CHUNKS.slice(0, n);
    for (const end of ['cut', 'none']) {
      broken(`${end} after ${n} pieces`, { chunks: slowly(chunks), end });
    }
    for (const end of ['SAFETY', 'RECITATION', 'MALFORMED_FUNCTION_CALL', 'OTHER']) {
      broken(`${end} with piece ${n + 1}`, { chunks: slowly([...chunks, '…']), end });
    }
    const said = chunks.map((text) => sse(text)).join('');
    for (const [what, then] of [
      ['an error', 'data: {"error":{"code":503}}\r\n\r\n'],
      ['garbage', 'data: nonsense\r\n\r\n'],
      ['null', 'data: null\r\n\r\n'],
      ['half a chunk', 'data: {"candidates":'],
      ['another protocol', '\u0000\u0001\u0002'],
      ['SAFETY without a piece', 'data: {"candidates":[{"finishReason":"SAFETY"}]}\r\n\r\n'],
    ] as const) {
      broken(`${what} after ${n} pieces`, { raw: said + then, end: 'none' });
    }
    if (n === 0) continue;
    const stopped =
      sse(CHUNKS[0] as string, 'STOP') +
      chunks
        .slice(1)
        .map((text) => sse(text))
        .join('');
    broken(`STOP first, an error after ${n}`, { raw: `${stopped}data: {"error":{}}\r\n\r\n` });
    broken(`STOP first, garbage after ${n}`, { raw: `${stopped}data: {\r\n\r\n` });
  }
  for (const status of [400, 403, 404, 429, 500, 503]) broken(`status ${status}`, { status });
  broken('a blocked prompt', { blocked: 'SAFETY' });
  for (const end of ['STOP', 'MAX_TOKENS', 'none', 'cut']) {
    broken(`an empty answer and ${end}`, { chunks: [''], end });
    broken(`no answer and ${end}`, { chunks: [], end });
    broken(`thoughts only and ${end}`, { chunks: [{ text: 'Hm.', thought: true }], end });
  }
  for (const raw of ['', '\r\n', 'data:', 'data: {}\r\n\r\n', '{"candidates":[]}', '<html>']) {
    broken(`the body ${JSON.stringify(raw)}`, { raw });
  }
  // What cannot be stored is left out: NUL, and half a character.
  for (const end of GOOD_ENDS) {
    found.push({
      name: `NUL and halves of pairs, ${end}`,
      behaviour: { chunks: ['a\0', 'b \udc00', 'c \ud83d', 'd \ud83d'], end },
      says: 'ab \ufffdc \ufffdd ',
      ends: endsWith(end),
    });
  }
  return found;
}

/** Those that say nothing more at some moment, and the connection stays. */
function silences(): Case[] {
  const hold = new Promise<void>(() => {});
  const pieces = Array.from({ length: CHUNKS.length + 1 }, (_, n) => CHUNKS.slice(0, n));
  return [
    { name: 'no answer', behaviour: { hold } },
    ...pieces.map((chunks) => ({
      name: `stalled after ${chunks.length} pieces`,
      behaviour: { chunks: slowly(chunks), end: 'stall' },
    })),
    ...['stop first', 'stop on each'].map((end) => ({
      name: `stalled after ${end}`,
      behaviour: {
        chunks: [...CHUNKS.slice(0, 3), { text: CHUNKS[3] as string, after: hold }],
        end,
      },
    })),
  ].map((one) => ({ ...one, says: SAYS, ends: 'broken' }));
}

/** A model that goes on and on: a piece now and then, for longer than anybody waits. */
const endless = (everyMs: number): Case => ({
  name: `endless, a word each ${everyMs} ms`,
  behaviour: { chunks: slowly(Array<string>(4_000).fill('la '), everyMs) },
  says: 'la '.repeat(4_000),
  ends: 'broken',
});

interface Scene {
  readonly chatkeep: Installation;
  gemini: GeminiServer;
  stop(): Promise<void>;
}

async function startScene(members: number, timing?: Timing): Promise<Scene> {
  const gemini = await startGeminiServer();
  obey(gemini);
  const chatkeep = await startInstallation({
    members,
    env: { GEMINI_BASE_URL: gemini.url },
    ...(timing && { timing }),
  });
  const scene = {
    chatkeep,
    gemini,
    async stop() {
      await chatkeep.stop();
      await scene.gemini.stop();
    },
  };
  return scene;
}

function obey(gemini: GeminiServer): void {
  gemini.choose((words) => {
    const { says, behaviour } = caseOf(words);
    return retried.has(words) ? { chunks: [says] } : behaviour;
  });
}

/** Sends all of these, waits for each answer, and says what was wrong with those. */
async function sendAll(
  messages: readonly string[],
  people: readonly Person[],
  parallel: number,
  withinMs: number,
): Promise<string[]> {
  const faults: string[] = [];
  const left = [...messages.entries()];
  const work = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [i, message] = next;
      const { writer } = people[i % people.length] as Person;
      const begun = performance.now();
      const answer = await writer.ask<Any>(SEND, { input: { message } });
      const row = answer.data?.sendMessage.message;
      // A loaded machine can be too slow to take it, and says so.
      if (failureOf(answer) === 'SERVICE_UNAVAILABLE') continue;
      const fault = row ? faultOf(row) : JSON.stringify(answer.errors);
      if (fault) faults.push(`answer: ${fault}`);
      const took = performance.now() - begun;
      if (took > withinMs) faults.push(`answer to ${message} after ${Math.round(took)} ms`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return faults;
}

/** Has them written, and waits for none. */
async function begin({ writer }: Person, messages: readonly string[]): Promise<string[]> {
  const sends = messages.map((message) =>
    writer.data<Any>(SEND, { input: { message, awaitReply: false } }),
  );
  return (await Promise.all(sends)).map(({ sendMessage }) => sendMessage.message.id);
}

/** Has every nth of the failed ones written anew, at the member that stays. */
async function retrySome(people: readonly Person[], every = 1): Promise<string[]> {
  const faults: string[] = [];
  const failed = (await Promise.all(people.map(historyOf))).flatMap((rows, i) =>
    rows
      .filter(({ status }) => status === 'FAILED' || status === 'STOPPED')
      .map((row) => ({ row, i })),
  );
  // A few at a time: with these times a model that many ask at once is too slow for some of them.
  const atOnce = pLimit(8);
  await Promise.all(
    failed
      .filter((_, n) => n % every === 0)
      .map(({ row: { id, message }, i }) =>
        atOnce(async () => {
          retried.add(message);
          const answer = await people[i]?.reader.ask<Any>(RETRY, { id });
          const { status, response } = answer?.data?.retryReply ?? {};
          if (status !== 'COMPLETE' || response !== caseOf(message).says) {
            faults.push(`retried: ${JSON.stringify(answer)}`);
          }
        }),
      ),
  );
  return faults;
}

/** Replies in each state that one can be in when something happens, whose model goes on afterwards. */
function underWay(going: Promise<void>): Case[] {
  const rest = CHUNKS.slice(1);
  const behaviours: Behaviour[] = [
    { hold: going, chunks: CHUNKS },
    { before: going, chunks: CHUNKS },
    { afterFirst: going, chunks: CHUNKS },
    { chunks: [...CHUNKS.slice(0, 3), { text: CHUNKS[3] as string, after: going }] },
    { chunks: [CHUNKS[0] as string, { text: rest.join(''), after: going }], end: 'stop first' },
    { chunks: slowly(CHUNKS, 100) },
    { chunks: CHUNKS },
  ];
  return behaviours.map((behaviour, i) => ({
    name: `under way ${i}`,
    behaviour,
    says: SAYS,
    ends: 'either',
  }));
}

/** One whose last piece waits. */
const almostThere = (going: Promise<void>, ends: Case['ends']): Case => ({
  name: 'almost there',
  behaviour: { chunks: [...CHUNKS.slice(0, 3), { text: CHUNKS[3] as string, after: going }] },
  says: SAYS,
  ends,
});

describe.sequential('a reply', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene(2, FAST);
  });
  afterAll(() => scene?.stop());

  const members = () => scene.chatkeep.members as [Member, Member];
  const ownerUrl = () => scene.chatkeep.postgres.ownerUrl;
  const crowd = (n: number) =>
    Promise.all(Array.from({ length: n }, () => newPerson(...members())));
  /** That all has ended everywhere, and can be written anew where it failed. */
  async function settle(people: readonly Person[], every = 1): Promise<string[]> {
    const faults = await untilEnded(people, ownerUrl(), SOON);
    faults.push(...(await faultsOf(people, ownerUrl())));
    // What is wrong already is told, and not waited for again.
    if (faults.length > 0) return faults;
    faults.push(...(await retrySome(people, every)));
    faults.push(
      ...(await untilEnded(people, ownerUrl(), SOON)),
      ...(await faultsOf(people, ownerUrl())),
    );
    return faults;
  }
  /** Until the device shows all of these. */
  const shown = async (person: Person, ids: readonly string[]) => {
    await person.device.first(() => {
      const { rows } = shownBy(person);
      return ids.every((id) => rows.has(id));
    });
  };

  it('whose stream breaks anywhere is not complete', { timeout: 300_000 }, async ({ task }) => {
    const people = await crowd(times(4, 8));
    const broken: Case[] = [];
    for (const end of GOOD_ENDS) broken.push(...(await cuts(scene.gemini, end, times(83, 1))));
    const others = otherEnds().filter((_, i) => i % times(3, 1) === 0);
    const messages = add(...broken, ...others, ...silences(), endless(100));
    const stopWatching = watch(people);
    const violations = await sendAll(messages, people, times(32, 48), SOON);
    const wellEnded = messages.filter((message) => caseOf(message).ends.match(/whole|limit/));
    const histories = (await Promise.all(people.map(historyOf))).flat();
    const complete = histories.filter(
      (row) => row.status === 'COMPLETE' && wellEnded.includes(row.message),
    );
    // Unless the machine was too slow for nearly everything.
    if (complete.length === 0 && histories.length > messages.length / 2) {
      violations.push(`none of ${wellEnded.length} that ended well is COMPLETE`);
    }
    violations.push(...(await settle(people, times(6, 10))), ...(await stopWatching()));
    report({ task }, 'replies', { trials: histories.length, of: 'broken streams', violations });
  });

  it('that is stopped keeps what has come', async ({ task }) => {
    const [me] = (await crowd(1)) as [Person];
    const stalled = silences().slice(2, 6);
    const ids = await begin(me, add(...stalled));
    let stopped = 0;
    await sleep(100);
    const violations: string[] = [];
    await Promise.all(
      ids.map(async (id) => {
        const answer = await me.reader.ask<Any>(STOP, { id });
        const row = answer.data?.stopReply;
        // It may have broken off a moment before.
        if (row?.status === 'STOPPED') stopped += 1;
        else if (failureOf(answer) !== 'CONFLICT' && row?.status !== 'FAILED') {
          violations.push(JSON.stringify(answer));
        }
      }),
    );
    violations.push(...(await settle([me])));
    report({ task }, 'replies', { trials: stopped, of: 'stopped replies', violations });
  });

  it('fails when nobody listens at the model, and is written once somebody does', async ({
    task,
  }) => {
    const [me] = (await crowd(1)) as [Person];
    const { port } = new URL(scene.gemini.url);
    await scene.gemini.stop();
    const messages = add(
      ...Array.from({ length: 4 }, () => underWay(Promise.resolve())[6] as Case),
    );
    const violations = await sendAll(messages, [me], 4, SOON);
    violations.push(...(await untilEnded([me], ownerUrl(), SOON)));
    const rows = [...shownBy(me).rows.values()];
    if (rows.some(({ status }) => status !== 'FAILED')) violations.push(JSON.stringify(rows));
    scene.gemini = await startGeminiServer({ port: Number(port) });
    obey(scene.gemini);
    violations.push(...(await settle([me])));
    report({ task }, 'replies', { trials: messages.length, of: 'refused connections', violations });
  });

  it.for(isLong ? ['killed', 'frozen'] : ['frozen'])(
    'whose process is %s is ended by another one',
    async (how, { task }) => {
      const violations: string[] = [];
      let trials = 0;
      for (let round = 0; round < times(1, 4); round += 1) {
        const [first] = members();
        const [me] = (await crowd(1)) as [Person];
        const going = scene.gemini.gate();
        const ids = await begin(me, add(...underWay(going.promise), ...underWay(going.promise)));
        trials += ids.length;
        await sleep(round * 60);
        if (how === 'killed') {
          await first.kill();
          going.open();
          violations.push(...(await settle([me])));
          await first.start();
          continue;
        }
        // Slow answers of PostgreSQL, so that it is frozen in the middle of its transactions, too.
        scene.chatkeep.postgresGate.delay(30);
        await sleep(300);
        first.freeze();
        scene.chatkeep.postgresGate.delay(0);
        violations.push(...(await settle([me])));
        // The model has gone on for those that were frozen: all of it waits for them.
        going.open();
        first.thaw();
        await me.writer.data('{ viewer { id } }');
        await expectNoneRunning(first);
        violations.push(...(await faultsOf([me], ownerUrl())));
      }
      report({ task }, 'replies', { trials, of: `replies of ${how} processes`, violations });
    },
  );

  it.for(isLong ? ['killed', 'frozen'] : ['frozen'])(
    'is complete though Redis is %s at its end',
    async (how, { task }) => {
      const { redis } = scene.chatkeep;
      const [me] = (await crowd(1)) as [Person];
      const going = scene.gemini.gate();
      const ids = await begin(
        me,
        add(...Array.from({ length: 4 }, () => almostThere(going.promise, 'whole'))),
      );
      await shown(me, ids);
      if (how === 'killed') await redis.kill();
      else redis.freeze();
      going.open();
      const violations = await untilEnded([me], ownerUrl(), SOON);
      if (how === 'killed') await redis.start();
      else redis.thaw();
      violations.push(...(await settle([me])));
      report({ task }, 'replies', { trials: ids.length, of: 'ends without Redis', violations });
    },
  );

  it('is kept, or given up, while PostgreSQL is away at its end', async ({ task }) => {
    const violations: string[] = [];
    let trials = 0;
    for (let round = 0; round < times(1, 4); round += 1) {
      const [me] = (await crowd(1)) as [Person];
      const going = scene.gemini.gate();
      const ids = await begin(
        me,
        add(...Array.from({ length: 4 }, () => almostThere(going.promise, 'either'))),
      );
      trials += ids.length;
      await shown(me, ids);
      await scene.chatkeep.postgres.kill();
      going.open();
      // Shorter than a lease, and longer.
      await sleep(round % 2 ? 2_000 : 300);
      await scene.chatkeep.postgres.start();
      violations.push(...(await settle([me])));
    }
    report({ task }, 'replies', { trials, of: 'ends without PostgreSQL', violations });
  });

  it.for(['the connection is cut', 'its process is killed'])(
    'is seen to be complete, though %s between its end and telling it',
    async (what, { task }) => {
      const { postgresGate } = scene.chatkeep;
      const violations: string[] = [];
      let trials = 0;
      const wanted = times(1, 4);
      for (let round = 0; trials < wanted && round < 5 * wanted; round += 1) {
        const [first] = members();
        const [me] = (await crowd(1)) as [Person];
        // So that each connection knows the statements: else it would wait for what they are.
        const warm = {
          name: 'warm',
          behaviour: { chunks: ['ok'] },
          says: 'ok',
          ends: 'whole',
        } as const;
        violations.push(...(await sendAll(add(...Array(30).fill(warm)), [me], 30, SOON)));
        const going = scene.gemini.gate();
        // Two that nobody goes on with if its process is killed; they have no text to store meanwhile.
        const silent = underWay(going.promise).slice(0, 2);
        const begun = add(almostThere(going.promise, 'whole'), ...silent);
        const ids = await begin(me, begun);
        const id = ids[0] as string;
        await shown(me, ids);
        // A page that is right until the reply ends.
        await me.reader.data(FIND);
        postgresGate.hold();
        going.open();
        const stored = await isStored(id);
        if (stored) trials += 1;
        if (what === 'its process is killed') await first.kill();
        postgresGate.cut();
        postgresGate.open();
        violations.push(...(await untilEnded([me], ownerUrl(), SOON)));
        if (violations.length > 0) break;
        // The last one is not needed any more.
        const isLast = what === 'its process is killed' && !isLong && trials === wanted;
        if (what === 'its process is killed' && !isLast) await first.start();
        const { searchChats } = await me.reader.data<Any>(FIND);
        if (stored && !searchChats.nodes.some((found: Any) => found.id === id))
          violations.push('a search does not find what is complete');
        violations.push(...(await settle([me])));
      }
      report({ task }, 'replies', { trials, of: 'ends that were not told', violations });
    },
  );

  /** Whether it is COMPLETE in the table, soon; it may also have got no connection to say so. */
  async function isStored(id: string): Promise<boolean> {
    const admin = postgres(ownerUrl(), { max: 1, onnotice: () => {} });
    const deadline = performance.now() + 1_000;
    let isComplete = false;
    while (!isComplete && performance.now() < deadline) {
      const [row] = await admin`select status from chat_history where id = ${id}`;
      isComplete = row?.['status'] === 'COMPLETE';
      await sleep(10);
    }
    await admin.end();
    return isComplete;
  }
});

const FIND = '{ searchChats(query: "Ende") { nodes { id } } }';

async function expectNoneRunning(member: Member): Promise<void> {
  const running = async () => {
    const text = await (await fetch(`${member.url}/metrics`)).text();
    return /chatkeep_replies_running (\d+)/.exec(text)?.[1];
  };
  await expect.poll(running).toBe('0');
}

if (isLong)
  describe('a reply, with the times of the product', () => {
    it('has ended within a minute, whatever happens', { timeout: 180_000 }, async ({ task }) => {
      const scene = await startScene(4);
      onTestFinished(() => scene.stop());
      const [stays, writes, dies, freezes] = scene.chatkeep.members as [
        Member,
        Member,
        Member,
        Member,
      ];
      const going = scene.gemini.gate();
      const people = await Promise.all([writes, dies, freezes].map((at) => newPerson(at, stays)));
      const [one, two, three] = people as [Person, Person, Person];
      const begun = performance.now();
      const slow = add(...silences(), endless(1_000), endless(10_000));
      const sending = sendAll(slow, [one], slow.length, MINUTE);
      const others = add(...underWay(going.promise));
      await Promise.all([begin(two, others), begin(three, others)]);
      await dies.kill();
      freezes.freeze();
      const violations = await untilEnded([two, three], scene.chatkeep.postgres.ownerUrl, MINUTE);
      const took = Math.round(performance.now() - begun);
      if (took > MINUTE) violations.push(`those that nobody wrote ended after ${took} ms`);
      freezes.thaw();
      going.open();
      violations.push(
        ...(await sending),
        ...(await untilEnded(people, scene.chatkeep.postgres.ownerUrl, MINUTE)),
      );
      violations.push(...(await faultsOf(people, scene.chatkeep.postgres.ownerUrl)));
      violations.push(...(await retrySome([two, three])));
      const trials = slow.length + 2 * others.length;
      report({ task }, 'replies', { trials, of: "replies with the product's times", violations });
    });
  });
