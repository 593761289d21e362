import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Any, type Client, clientOf, HISTORY, SEARCH, send, signIn } from '../kit/client.ts';
import { heapOf, INSPECTABLE, INSPECTOR_LINE } from '../kit/heap.ts';
import { type Installation, type Member, startInstallation } from '../kit/installation.ts';
import { httpRequests, socketTalks, tampered } from '../kit/malformed.ts';
import { isLong, times } from '../kit/promises.ts';
import { exchange, framesOf, responseOf } from '../kit/raw.ts';
import { collect, connect, EVENTS } from '../kit/subscriptions.ts';
import { report } from '../kit/trials.ts';

/** Another seed each time: `SEED=… npx vitest run test/faults/malformed-requests.test.ts` for the same again. */
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
/** The heap may be so much larger afterwards: the caches of documents, pages and requests are bounded. */
const GROWTH = 32 * 1024 * 1024;

/** Connections to PostgreSQL are opened when they are needed, and clients keep theirs for a while. */
const FILES = 30;

let chatkeep: Installation;
let server: Member;
/** Sends what is malformed. */
let stranger: Client;
/** Goes on as if nothing were. */
let person: Client;
let pid: number | undefined;

beforeAll(async () => {
  chatkeep = await startInstallation({ env: INSPECTABLE });
  server = chatkeep.members[0] as Member;
  stranger = await signIn(server);
  person = await signIn(server);
  pid = server.process.child.pid;
  // What is loaded when it is first asked for is no growth.
  for (const path of ['', 'graphiql/graphiql.js', 'graphiql/page.js'])
    await fetch(`${server.url}/${path}`);
});
afterAll(() => chatkeep?.stop());

const CODES = new Set([
  'UNAUTHENTICATED',
  'BAD_USER_INPUT',
  'NOT_FOUND',
  'CONFLICT',
  'RATE_LIMITED',
  'QUERY_TOO_COMPLEX',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
]);
/** Of an error, and of its extensions. */
const KEYS = new Set(['message', 'locations', 'path', 'extensions']);
const EXTENSIONS = new Set(['code', 'argument', 'retryAfterMs', 'id']);

/** What is wrong with an error as a client gets it. */
function faultOf(error: Any): string | undefined {
  if (typeof error?.message !== 'string') return 'an error without a message';
  if (!CODES.has(error.extensions?.code))
    return `the code ${error.extensions?.code}: ${error.message}`;
  const more = [
    ...Object.keys(error).filter((key) => !KEYS.has(key)),
    ...Object.keys(error.extensions).filter((key) => !EXTENSIONS.has(key)),
  ];
  return more.length > 0 ? `an error that tells ${more}` : undefined;
}

const INSIDE =
  /node:internal|node_modules|\.[jt]s:\d+:\d+|INTERNAL_SERVER_ERROR|SERVICE_UNAVAILABLE/;

/** What is wrong with what came back over HTTP; nothing if there was no answer but the end. */
function faultOfAnswer(answer: Buffer): string | undefined {
  const response = responseOf(answer);
  if (!response) return answer.length === 0 ? undefined : 'no HTTP';
  const { status, head, body, complete } = response;
  if (status >= 500) return `${status} ${body.slice(0, 300)}`;
  if (INSIDE.test(body)) return `something of the inside: ${body.slice(0, 300)}`;
  if (status === 101 || !complete || !/^content-type: application\/[\w-]*\+?json/m.test(head))
    return undefined;
  if (body === '') return undefined;
  const { data, errors } = JSON.parse(body);
  if (data === undefined && errors === undefined && !/"postgres"/.test(body))
    return `no result: ${body}`;
  return errors?.map(faultOf).find((fault: string | undefined) => fault);
}

/** What is wrong with what came back over a WebSocket. */
function faultOfTalk(answer: Buffer): string | undefined {
  const at = answer.indexOf('\r\n\r\n');
  if (!answer.subarray(0, 12).equals(Buffer.from('HTTP/1.1 101'))) return faultOfAnswer(answer);
  const { texts, code } = framesOf(answer.subarray(at + 4));
  if (code === 1011 || code === 4500) return `closed with ${code}`;
  for (const text of texts) {
    if (INSIDE.test(text)) return `something of the inside: ${text.slice(0, 300)}`;
    const { type, payload } = JSON.parse(text);
    const errors = type === 'error' ? payload : type === 'next' ? payload.errors : undefined;
    const fault = errors?.map(faultOf).find((one: string | undefined) => one);
    if (fault) return fault;
  }
  return undefined;
}

const isStream = (answer: Buffer) =>
  /event-stream|multipart\/mixed/.test(answer.subarray(0, 2_000).toString('latin1'));

/** Whether a WebSocket was closed by the server, which waits for the answer then. */
const hasClosed = (answer: Buffer) =>
  framesOf(answer.subarray(answer.indexOf('\r\n\r\n') + 4)).code !== undefined;

/** Runs a property and adds what it found to the violations: the seed, and the smallest that fails. */
async function tryAll<T>(
  violations: string[],
  runs: number,
  values: fc.Arbitrary<T>,
  faultIn: (value: T) => Promise<string | undefined>,
): Promise<number> {
  let tried = 0;
  const property = fc.asyncProperty(values, async (value) => {
    tried += 1;
    const fault = await faultIn(value);
    if (fault) throw new Error(fault);
  });
  const result = await fc.check(property, { numRuns: runs, seed: SEED, endOnFailure: false });
  if (result.failed) {
    const [example] = (result.counterexample ?? []) as [unknown];
    const shown = [example]
      .flat()
      .map((part) => (Buffer.isBuffer(part) ? part.toString('latin1') : part));
    violations.push(
      `seed ${SEED}, path ${result.counterexamplePath}: ${(result.errorInstance as Error)?.message}\n${JSON.stringify(shown).slice(0, 3_000)}`,
    );
  }
  return tried;
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
}

/** What may not grow. */
const state = async () => ({
  sockets: await metric('chatkeep_websockets'),
  subscriptions: await metric('chatkeep_subscriptions'),
  replies: await metric('chatkeep_replies_running'),
  files: await metric('process_open_fds'),
});

/** Somebody else, who asks again and again until it is over: each time with the right answer. */
function bystander(violations: string[]) {
  const tab = collect(connect(server, person.token), EVENTS);
  let over = false;
  let asked = 0;
  const asking = (async () => {
    await tab.nth(1);
    const { id } = await send(person, 'still there?');
    do {
      asked += 1;
      // Another page each time, so that not only the cache is asked.
      const { data, errors } = await person.ask<Any>(HISTORY, { first: 1 + (asked % 100) });
      if (data?.chatHistory.nodes[0]?.id !== id)
        violations.push(`somebody else got ${JSON.stringify(errors ?? data)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    } while (!over);
    await person.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id });
    await tab.first(({ data }) => data?.chatEvents.__typename === 'MessageDeleted');
    tab.stop();
  })();
  return {
    async end(): Promise<void> {
      over = true;
      await asking;
    },
  };
}

/** Runs trials beside somebody who must not notice, and looks whether the server is as it was before. */
async function harmless(violations: string[], trials: () => Promise<void>): Promise<void> {
  const before = { ...(await state()), heap: await heapOf(server.process) };
  const saidBefore = server.output().length;
  const other = bystander(violations);
  await trials();
  await other.end();
  expect([server.process.child.pid, server.process.child.exitCode]).toEqual([pid, null]);
  // Sockets that nobody ended properly are given up at their next ping.
  await expect
    .poll(async () => {
      const { files, ...now } = await state();
      return { ...now, more: Math.max(0, files - before.files - FILES) };
    })
    .toEqual({ sockets: before.sockets, subscriptions: before.subscriptions, replies: 0, more: 0 });
  const grown = (await heapOf(server.process)) - before.heap;
  if (grown > GROWTH) violations.push(`the heap is larger by ${grown} bytes`);
  const said = server.output().slice(saidBefore).split('\n');
  for (const line of said) {
    if (line === '' || /^chatkeep: /.test(line) || INSPECTOR_LINE.test(line)) continue;
    // A machine that is busy with all this may be slow to answer for Redis, which is told as a warning.
    if (/^\{"level":[1-4]0,.*\}$/.test(line)) continue;
    violations.push(`the server said ${line.slice(0, 500)}`);
  }
}

const LIMIT_MS = isLong ? 300_000 : 60_000;

describe('a malformed request', () => {
  it('over HTTP harms nobody', { timeout: LIMIT_MS }, async ({ task }) => {
    const violations: string[] = [];
    let trials = 0;
    await harmless(violations, async () => {
      const requests = httpRequests(stranger.token as string);
      trials = await tryAll(violations, times(700, 6_000), requests, async (bytes) =>
        faultOfAnswer(await exchange(server.url, [bytes], isStream)),
      );
    });
    report({ task }, 'malformed', { trials, of: 'requests', violations });
  });

  it('over WebSocket harms nobody', { timeout: LIMIT_MS }, async ({ task }) => {
    const violations: string[] = [];
    let trials = 0;
    await harmless(violations, async () => {
      const talks = socketTalks(stranger.token as string);
      trials = await tryAll(violations, times(400, 4_000), talks, async (pieces) =>
        faultOfTalk(await exchange(server.url, pieces, hasClosed)),
      );
    });
    report({ task }, 'malformed', { trials, of: 'WebSockets', violations });
  });

  it('does not stay in the memory, however large', { timeout: LIMIT_MS }, async ({ task }) => {
    const violations: string[] = [];
    const trials = times(160, 800);
    await harmless(violations, async () => {
      const nobody = clientOf(server);
      for (let n = 0; n < trials; n += 1) {
        // No two are alike; every other one is a good document.
        const text = `${n % 2 ? '{' : '{ __typename }'} # ${n} ${'\u20ac'.repeat(80_000)}`;
        const { status } = await nobody.ask(text);
        if (status >= 500) violations.push(`${status} for document ${n}`);
      }
    });
    report({ task }, 'malformed', { trials, of: 'documents of 240 KB', violations });
  });
});

describe('a cursor that somebody changed', () => {
  it('is refused, or is the place that it was', { timeout: LIMIT_MS }, async ({ task }) => {
    const violations: string[] = [];
    const me = await signIn(server);
    const other = await signIn(server);
    const words = Array.from({ length: 12 }, (_, i) => `word${i}`);
    await Promise.all(
      [me, other].flatMap((client) =>
        words.map((word) => send(client, `${word} of ${client.userId}`)),
      ),
    );
    const edgesOf = async (client: Client): Promise<Any[]> =>
      (await client.data<Any>(HISTORY)).chatHistory.edges;
    const mine = await edgesOf(me);
    const cursors = mine.map(({ cursor }) => cursor as string);
    const ids = mine.map(({ node }) => node.id as string);
    const theirs = await edgesOf(other);
    const changes = tampered(
      cursors,
      theirs.flatMap(({ cursor, node }) => [cursor, node.id]),
    );
    const asks = fc.constantFrom('after', 'before', 'search', 'message');

    const faultIn = async ([cursor, how]: readonly [string, string]): Promise<
      string | undefined
    > => {
      const at = cursors.indexOf(cursor);
      const { status, data, errors } =
        how === 'message'
          ? await me.ask<Any>('query ($id: ID!) { message(id: $id) { id } }', { id: cursor })
          : how === 'search'
            ? await me.ask<Any>(SEARCH, { query: 'word', after: cursor })
            : await me.ask<Any>(
                HISTORY,
                how === 'after' ? { after: cursor } : { before: cursor, last: 50 },
              );
      if (status >= 500) return `${status}`;
      const isOurs = at >= 0 && how !== 'message';
      const code = errors?.[0]?.extensions.code;
      if (errors)
        return (
          errors.map(faultOf).find((fault) => fault) ??
          (code === 'BAD_USER_INPUT' && !isOurs ? undefined : String(code))
        );
      if (how === 'message')
        return data.message === null ? undefined : `message ${data.message.id}`;
      const page = (data.chatHistory ?? data.searchChats).edges.map(({ node }: Any) => node.id);
      const right = at < 0 ? undefined : how === 'before' ? ids.slice(0, at) : ids.slice(at + 1);
      return JSON.stringify(page) === JSON.stringify(right) ? undefined : `the page ${page}`;
    };

    let trials = 0;
    await harmless(violations, async () => {
      // Eight at a time.
      const some = fc.array(fc.tuple(changes, asks), { minLength: 1, maxLength: 8, size: 'max' });
      await tryAll(violations, times(60, 2_500), some, async (batch) => {
        trials += batch.length;
        return (await Promise.all(batch.map(faultIn))).find((fault) => fault);
      });
    });
    report({ task }, 'malformed', { trials, of: 'cursors', violations });
  });
});
