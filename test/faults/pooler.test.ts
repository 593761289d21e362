import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { poolerOptions } from '../../src/db/pooler.ts';
import { type Any, type Client, HISTORY, SEARCH, SEND, send, signIn } from '../kit/client.ts';
import { createTestDatabase, directUrlOf } from '../kit/database.ts';
import { pgbouncerAvailable, startPgbouncer } from '../kit/pgbouncer.ts';
import { isLong, times } from '../kit/promises.ts';
import { startServerForTest, type TestServer } from '../kit/server.ts';
import { collect, connect, EVENTS } from '../kit/subscriptions.ts';
import { report } from '../kit/trials.ts';

/** Fewer connections to PostgreSQL than the server has to the pooler, and than there are users. */
const POOL_SIZE = 3;

const MESSAGE = 'query ($id: ID!) { message(id: $id) { id message status } }';
const PERSONALITY =
  'mutation ($personality: JSON) { setPersonality(personality: $personality) { id personality } }';
const TREND =
  'query ($from: Date!, $to: Date!) { moodTrend(from: $from, to: $to) { messageCount } }';

describe.skipIf(!pgbouncerAvailable)('behind PgBouncer in transaction mode', () => {
  it('everybody gets what is theirs, and nothing is left on its connections', {
    timeout: 200_000,
  }, async ({ task, onTestFinished }) => {
    // Migrated by the server itself, which needs one connection for it all: MIGRATION_DATABASE_URL.
    const database = await createTestDatabase({ migrated: false });
    const pooler = await startPgbouncer([directUrlOf(database)], { poolSize: POOL_SIZE });
    onTestFinished(() => pooler.stop());
    const url = `${pooler.through(directUrlOf(database))}?pgbouncer=true`;
    const server = await startServerForTest({
      env: {
        DATABASE_URL: url,
        MIGRATION_DATABASE_URL: database.ownerUrl,
        RATE_LIMIT_PER_MINUTE: '1000000',
      },
    });
    const violations: string[] = [];
    const counted = { operations: 0 };
    const people = await Promise.all(Array.from({ length: times(6, 20) }, () => signIn(server)));
    await Promise.all(
      people.map(async (me) => {
        const walk = createWalk(server, me, counted, violations);
        for (let round = 0; round < times(3, 15); round += 1) await walk(round);
      }),
    );
    const states = await statesBehind(url);
    expect(new Set(states.map(({ pid }) => pid)).size).toBe(POOL_SIZE);
    for (const { pid: _, ...state } of states) {
      const clean = { role: 'chatkeep', claims: '', timeout: '0', prepared: 0 };
      if (JSON.stringify(state) !== JSON.stringify(clean))
        violations.push(`left on a connection: ${JSON.stringify(state)}`);
    }
    report({ task }, 'pooler', { trials: counted.operations, of: 'operations', violations });
  });

  if (!isLong) return;
  it('the tests of the server pass', { timeout: 900_000 }, async ({ task, onTestFinished }) => {
    const dir = await mkdtemp(join(tmpdir(), 'chatkeep-pooler-'));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const { passed, violations } = await runTests(join(dir, 'results.json'));
    report({ task }, 'pooler', { trials: passed, of: 'tests of the server', violations });
  });
});

/** What a user does all day, once a round; tells what was wrong with the answers. */
function createWalk(
  server: TestServer,
  me: Client,
  counted: { operations: number },
  violations: string[],
) {
  const mine = (text: string) => `${me.userId} ${text}`;
  const isMine = ({ message }: { message: string }) => message.startsWith(me.userId);
  const check = (what: string, fits: boolean, seen: unknown) => {
    if (!fits) violations.push(`${what}: ${JSON.stringify(seen)?.slice(0, 300)}`);
  };
  async function ask(query: string, variables: object = {}): Promise<Any> {
    counted.operations += 1;
    const answer = await me.ask<Any>(query, variables);
    check('refused', answer.errors === undefined, answer.errors);
    return answer.data ?? {};
  }
  const put = async (input: object): Promise<Any> =>
    (await ask(SEND, { input: { awaitReply: false, ...input } })).sendMessage?.message;

  return async (round: number): Promise<void> => {
    const id = randomUUID();
    const device = connect(server, me.token);
    const events = collect(device, EVENTS);
    const until = (fits: (value: Any) => boolean) => {
      const ended = events.ended.then((error) => {
        throw new Error(`A subscription ended: ${JSON.stringify(error ?? events.values.at(-1))}`);
      });
      return Promise.race([events.first(fits), ended]);
    };
    await until(({ data }) => data?.chatEvents.__typename === 'CaughtUp');
    const personality = { round, of: me.userId };
    const set = await ask(PERSONALITY, { personality });
    check('personality', set.setPersonality?.personality.of === me.userId, set);

    const [first, again, other] = await Promise.all([
      put({ id, message: mine('asks twice') }),
      put({ id, message: mine('asks twice') }),
      put({ message: mine('asks something else') }),
    ]);
    check('sent twice', first?.id === id && again?.id === id, [first, again]);
    check('sent', other && isMine(other), other);

    const now = Date.now();
    const days = [now - 86_400_000, now + 2 * 86_400_000].map((at) =>
      new Date(at).toISOString().slice(0, 10),
    );
    const [page, found, foreign, one, trend, viewer] = await Promise.all([
      ask(HISTORY, { first: 100 }),
      ask(SEARCH, { query: me.userId, first: 100 }),
      ask(HISTORY, { last: 5, filter: { mood: ['NEUTRAL', 'POSITIVE', 'NEGATIVE'] } }),
      ask(MESSAGE, { id }),
      ask(TREND, { from: days[0], to: days[1] }),
      ask('{ viewer { id } }'),
    ]);
    const nodes = page.chatHistory?.nodes ?? [];
    // One of each round stays, and what the first one had answered.
    const expected = 1 + round + 1 + (round > 0 ? 1 : 0);
    check('page', nodes.length === expected && nodes.every(isMine), nodes);
    check('search', found.searchChats?.edges.length === nodes.length, found);
    check('last', foreign.chatHistory?.nodes.every(isMine), foreign);
    check('message', one.message?.id === id && isMine(one.message), one);
    check('trend', trend.moodTrend?.length === 3, trend);
    check('viewer', viewer.viewer?.id === me.userId, viewer);

    await until(({ data }) => data?.chatEvents.message?.id === id);
    const { deleteMessage } = await ask('mutation ($id: ID!) { deleteMessage(id: $id) }', { id });
    check('deleted', deleteMessage === id, deleteMessage);
    await until(({ data }) => data?.chatEvents.id === id);
    const told = events.values.flatMap(({ data }) => data?.chatEvents.message ?? []);
    check('events', told.every(isMine), told);
    events.stop();
    await device.dispose();
    if (round === 0) await send(me, mine('has it answered'));
  };
}

interface State {
  readonly pid: number;
  readonly role: string;
  readonly claims: string;
  readonly timeout: string;
  readonly prepared: number;
}

/** What each of the pooler's connections has by itself: as many transactions as there are, at a time. */
async function statesBehind(url: string): Promise<readonly State[]> {
  const sql = postgres(poolerOptions(url).url, { max: POOL_SIZE, prepare: false });
  let arrived = 0;
  let open = () => {};
  const all = new Promise<void>((resolve) => {
    open = resolve;
  });
  const states = await Promise.all(
    Array.from({ length: POOL_SIZE }, () =>
      sql.begin(async (tx) => {
        const [state] = await tx<State[]>`
          select pg_backend_pid() as pid, current_user as role,
            coalesce(current_setting('request.jwt.claims', true), '') as claims,
            current_setting('statement_timeout') as timeout,
            (select count(*)::int from pg_prepared_statements where name <> '') as prepared`;
        arrived += 1;
        if (arrived === POOL_SIZE) open();
        await all;
        return state as State;
      }),
    ),
  );
  await sql.end();
  return states;
}

/** What takes minutes in itself, or is about Redis and a PostgreSQL of its own. */
const LEFT_OUT = ['convergence', 'embedded', 'redis', 'chat-events-redis'];

/** `npm run test:pooler` with the files in which PostgreSQL plays a part. */
async function runTests(results: string) {
  const files: string[] = [];
  for (const file of await readdir('test')) {
    const [name, isTest] = [file.replace('.test.ts', ''), file.endsWith('.test.ts')];
    if (!isTest || LEFT_OUT.includes(name)) continue;
    const text = await readFile(join('test', file), 'utf8');
    if (/kit\/(database|server|process)\.ts/.test(text)) files.push(join('test', file));
  }
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|FAULTS|TEST|NODE)/.test(name),
  );
  const child = spawn(
    'npm',
    ['run', 'test:pooler', '--', ...files, '--reporter=json', `--outputFile=${results}`],
    { env: Object.fromEntries(kept), stdio: 'ignore' },
  );
  await once(child, 'exit');
  const { numPassedTests, testResults } = JSON.parse(await readFile(results, 'utf8')) as {
    numPassedTests: number;
    testResults: {
      name: string;
      status: string;
      message: string;
      assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
    }[];
  };
  const violations = testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (status === 'failed' && failed.length === 0) return [`${name}: ${message}`];
    return failed.map(
      ({ fullName, failureMessages }) => `${fullName}: ${failureMessages[0]?.slice(0, 200)}`,
    );
  });
  return { passed: numPassedTests, violations };
}
