import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, get, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { listen } from '../src/server/http.ts';
import { type Any, type Client, clientOf, HISTORY, SEND, send, signIn } from './kit/client.ts';
import { createTestDatabase } from './kit/database.ts';
import { isRunning } from './kit/embedded-servers.ts';
import { startGeminiServer } from './kit/gemini-server.ts';
import { type ServerProcess, spawnServer } from './kit/process.ts';
import { type RedisServer, redisAvailable, startRedis } from './kit/redis.ts';

let dataDir: string;
let redis: RedisServer;
let bare: Readonly<Record<string, string>>;
let env: Readonly<Record<string, string>>;
beforeEach(async ({ onTestFinished }) => {
  dataDir = await mkdtemp(join(tmpdir(), 'chatkeep-workers-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  redis = await startRedis();
  onTestFinished(() => redis.stop());
  const { url, ownerUrl } = await createTestDatabase();
  bare = { DATA_DIR: dataDir, REDIS_URL: redis.url, WEB_CONCURRENCY: '2' };
  env = { ...bare, DATABASE_URL: url, MIGRATION_DATABASE_URL: ownerUrl };
});

/** The processes that a server has forked. */
function workersOf({ child }: ServerProcess): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, parent, ...args]) => Number(parent) === child.pid && /main\.ts/.test(args.join(' ')),
    )
    .map(([pid]) => Number(pid));
}

interface Page {
  readonly cache: string;
  readonly nodes: readonly Any[];
}

const PAGE = JSON.stringify({ query: HISTORY });

/** Over a connection of its own, so that any worker may take it. */
function askAfresh(url: string, { token }: Client, body = PAGE): Promise<Page> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
    const options = { method: 'POST', agent: false, headers } as const;
    const asking = request(`${url}/graphql`, options, async (response) => {
      const answer = (await json(response)) as Any;
      const cache = String(response.headers['cache-status']);
      resolve({ cache, nodes: answer.data?.chatHistory?.nodes });
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

/** Over a connection of its own as well: one that is kept leads to one worker. */
async function metric(url: string, name: string): Promise<number> {
  const [response] = await once(get(`${url}/metrics`, { agent: false }), 'response');
  const body = await text(response as IncomingMessage);
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1]);
}

describe.skipIf(!redisAvailable)('several processes on one port', () => {
  it('answer from the cache in front of their engines, each, and are counted as one', async () => {
    const server = spawnServer(env);
    const { url } = await server.serving();
    await vi.waitFor(() => expect(server.output()).toMatch(/processes: 2 share the port/));
    const workers = workersOf(server);
    expect(workers).toHaveLength(2);
    const me = await signIn({ url });
    await send(me, 'to be read');

    // One that stands still takes no connection: the other one answers all.
    const hits: number[] = [];
    for (const frozen of workers) {
      process.kill(frozen, 'SIGSTOP');
      onTestFinished(() => void process.kill(frozen, 'SIGCONT'));
      // Who found Redis slow, or stood still, trusts no lease for some seconds.
      const isHit = async () => expect((await askAfresh(url, me)).cache).toBe('chatkeep; hit');
      await vi.waitFor(isHit, 20_000);
      const before = await metric(url, 'chatkeep_front_hits_total');
      const answers: (string | null)[] = [];
      for (let i = 0; i < 10; i += 1) answers.push((await askAfresh(url, me)).cache);
      const inFront = (await metric(url, 'chatkeep_front_hits_total')) - before;
      expect(inFront).toBe(answers.filter((cache) => cache === 'chatkeep; hit').length);
      hits.push(inFront);
      process.kill(frozen, 'SIGCONT');
    }
    expect(Math.min(...hits)).toBeGreaterThan(0);
    expect(await metric(url, 'chatkeep_front_hits_total')).toBeGreaterThanOrEqual(
      hits.reduce((sum, count) => sum + count),
    );
    expect(await metric(url, 'chatkeep_processes')).toBe(2);
  });

  it('show what another one has stored', async () => {
    const server = spawnServer(env);
    const { url } = await server.serving();
    const me = await signIn({ url });
    const [one = 0, two = 0] = workersOf(server);
    for (const pid of [one, two]) onTestFinished(() => void process.kill(pid, 'SIGCONT'));
    for (let i = 1; i <= 6; i += 1) {
      const [frozen, other] = i % 2 === 0 ? [one, two] : [two, one];
      process.kill(frozen, 'SIGSTOP');
      const input = JSON.stringify({ query: SEND, variables: { input: { message: `${i}` } } });
      await askAfresh(url, me, input);
      process.kill(frozen, 'SIGCONT');
      process.kill(other, 'SIGSTOP');
      expect((await askAfresh(url, me)).nodes).toHaveLength(i);
      process.kill(other, 'SIGCONT');
    }
  });

  it('go on when one of them is killed, have it replaced, and forget nothing they counted', async () => {
    const server = spawnServer(env);
    const { url } = await server.serving();
    const me = await signIn({ url });
    await send(me, 'before');
    for (let i = 0; i < 8; i += 1) await askAfresh(url, me);
    const before = await metric(url, 'chatkeep_front_hits_total');
    expect(before).toBeGreaterThan(0);

    const killed = workersOf(server);
    for (const pid of killed) {
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => isRunning(pid)).toBe(false);
      expect((await askAfresh(url, me)).nodes).toHaveLength(1);
      await expect.poll(() => metric(url, 'chatkeep_processes').catch(() => 0)).toBe(2);
    }
    const replaced = workersOf(server);
    expect(replaced).toHaveLength(2);
    expect(replaced).not.toEqual(expect.arrayContaining(killed));
    const said = server.output().match(/^\{.*a process ended.*$/gm) ?? [];
    expect(said.map((line) => JSON.parse(line).worker)).toEqual(killed);
    expect(await metric(url, 'chatkeep_front_hits_total')).toBeGreaterThanOrEqual(before);
    await send(me, 'after');
    expect((await askAfresh(url, me)).nodes).toHaveLength(2);
  });

  it('are replaced ever more slowly when they end again and again', async () => {
    const server = spawnServer(env);
    await server.serving();
    const pauses = () =>
      [...server.output().matchAll(/"pauseMs":(\d+)/g)].map(([, pause]) => Number(pause));
    const [stays] = workersOf(server);
    for (let kills = 1; kills <= 4; kills += 1) {
      const [next] = await vi.waitUntil(() => {
        const others = workersOf(server).filter((pid) => pid !== stays);
        return others.length > 0 && others;
      }, 20_000);
      process.kill(next as number, 'SIGKILL');
      await vi.waitUntil(() => pauses().length === kills, 20_000);
    }
    expect(pauses()).toEqual([100, 200, 400, 800]);
  });

  it('finish what they write when told to stop, and none is left', async () => {
    const gemini = await startGeminiServer();
    const withGemini = { ...env, GEMINI_API_KEY: 'test-key', GEMINI_BASE_URL: gemini.url };
    const server = spawnServer(withGemini);
    const { url } = await server.serving();
    const workers = workersOf(server);
    const me = await signIn({ url });
    const soon = gemini.gate();
    const late = { chunks: ['in ', 'time'], afterFirst: soon.promise };
    gemini.script(late, late);
    await Promise.all([1, 2].map((i) => send(me, `quick ${i}`, { awaitReply: false })));
    await vi.waitFor(() => expect(gemini.running).toBe(2));
    server.child.kill('SIGTERM');
    await vi.waitFor(() => expect(server.output()).toMatch(/stopping/));
    soon.open();
    expect(await server.exited).toBe(0);
    expect(workers.filter(isRunning)).toEqual([]);
    expect(server.output().match(/stopping/g)).toHaveLength(1);
    expect(server.output()).not.toMatch(/a process ended/);

    const next = spawnServer(withGemini);
    const again = clientOf(await next.serving(), me.token);
    const { chatHistory } = await again.data<Any>(HISTORY);
    expect(chatHistory.nodes.map(({ response }: Any) => response)).toEqual(['in time', 'in time']);
    await gemini.stop();
  });

  it('end with the process that started them, also when it is killed', async () => {
    const server = spawnServer(env);
    await server.serving();
    const workers = workersOf(server);
    server.child.kill('SIGKILL');
    await server.exited;
    await expect.poll(() => workers.filter(isRunning)).toEqual([]);
  });

  it('share an embedded PostgreSQL, which is prepared once', async () => {
    const server = spawnServer(bare);
    const { url } = await server.serving();
    await vi.waitFor(() => expect(server.output()).toMatch(/database: embedded PostgreSQL/));
    const me = await signIn({ url });
    await send(me, 'kept');
    expect((await askAfresh(url, me)).nodes).toHaveLength(1);
    expect((await askAfresh(url, me)).nodes).toHaveLength(1);
    server.child.kill('SIGTERM');
    expect(await server.exited).toBe(0);
    const next = spawnServer({ DATA_DIR: dataDir });
    expect((await askAfresh((await next.serving()).url, me)).nodes).toHaveLength(1);
  });

  it('say what is wrong once, and stop', async () => {
    const taken = createServer();
    onTestFinished(() => void taken.close());
    const { port } = await listen(taken, 0, '127.0.0.1');
    const server = spawnServer({ ...env, PORT: `${port}` });
    expect(await server.exited).toBe(1);
    expect(server.output().match(/EADDRINUSE/g)).toHaveLength(1);
    const away = spawnServer({ ...bare, DATABASE_URL: 'postgres://a:hunter2@127.0.0.1:1/b' });
    expect(await away.exited).toBe(1);
    expect(away.output().trim().split('\n')).toHaveLength(1);
  });
});
