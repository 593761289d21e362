import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Any,
  clientOf,
  failureOf,
  HISTORY,
  SEARCH,
  SEND,
  send,
  signIn,
} from './kit/client.ts';
import { createTestDatabase } from './kit/database.ts';
import { startGate } from './kit/gate.ts';
import { startGeminiServer } from './kit/gemini-server.ts';
import { spawnServer } from './kit/process.ts';

let dataDir: string;
beforeEach(async ({ onTestFinished }) => {
  dataDir = await mkdtemp(join(tmpdir(), 'chatkeep-process-'));
  // Runs after the servers of the test are gone: what was registered first is called last.
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
});

describe('the server on a bare machine', () => {
  it('keeps everything through a kill and a stop, and lets no second one in', async () => {
    const first = spawnServer({ DATA_DIR: dataDir });
    const me = await signIn(await first.serving());
    expect(first.output()).toMatch(/offline companion/);
    const { id } = await send(me, 'a morning to remember');

    const second = spawnServer({ DATA_DIR: dataDir });
    expect(await second.exited).toBe(1);
    expect(second.output().trim().split('\n')).toHaveLength(1);
    expect(second.output()).toMatch(/in use/);

    first.child.kill('SIGKILL');
    await first.exited;
    const third = spawnServer({ DATA_DIR: dataDir });
    const again = clientOf(await third.serving(), me.token);
    expect((await again.data<Any>(HISTORY)).chatHistory.nodes[0]).toMatchObject({ id });
    await send(again, 'and another one');
    third.child.kill('SIGTERM');
    expect(await third.exited).toBe(0);

    const fourth = spawnServer({ DATA_DIR: dataDir });
    const last = clientOf(await fourth.serving(), me.token);
    expect((await last.data<Any>(HISTORY)).chatHistory.nodes).toHaveLength(2);
    const { searchChats } = await last.data<Any>(SEARCH, { query: 'morning' });
    expect(searchChats.edges[0].node.id).toBe(id);
  });

  it('says what is wrong with its environment, all at once, and stops', async () => {
    const server = spawnServer({ PORT: 'http', GRAPHIQL: 'maybe', DATABASE_URL: 'hunter2' });
    expect(await server.exited).toBe(1);
    const lines = server.output().trim().split('\n');
    expect(lines.map((line) => line.split(' ')[1])).toEqual(['PORT', 'DATABASE_URL', 'GRAPHIQL']);
    expect(server.output()).not.toContain('hunter2');
  });

  it('says so in one line when PostgreSQL is not there', async () => {
    const server = spawnServer({
      DATA_DIR: dataDir,
      DATABASE_URL: 'postgres://a:hunter2@127.0.0.1:1/b',
    });
    expect(await server.exited).toBe(1);
    expect(server.output().trim().split('\n')).toHaveLength(1);
    expect(server.output()).not.toContain('hunter2');
  });
});

describe('the server on a PostgreSQL', () => {
  it('migrates it under a lock, though many processes start at once', async () => {
    const { ownerUrl, url } = await createTestDatabase({ migrated: false });
    const env = { DATA_DIR: dataDir, DATABASE_URL: url, MIGRATION_DATABASE_URL: ownerUrl };
    const servers = [1, 2, 3].map(() => spawnServer(env));
    const addresses = await Promise.all(servers.map((server) => server.serving()));
    const me = await signIn(addresses[0] as { url: string });
    await send(me, 'hello');
    for (const address of addresses) {
      const { chatHistory } = await clientOf(address, me.token).data<Any>(HISTORY);
      expect(chatHistory.nodes).toHaveLength(1);
    }
  });

  it('says SERVICE_UNAVAILABLE while it is away, and works again when it is back', async () => {
    const { ownerUrl, url } = await createTestDatabase();
    const gate = await startGate(url);
    const server = spawnServer({
      DATA_DIR: dataDir,
      DATABASE_URL: gate.url,
      MIGRATION_DATABASE_URL: ownerUrl,
    });
    const me = await signIn(await server.serving());
    await send(me, 'before');
    gate.shut();
    const graphql = { accept: 'application/graphql-response+json' };
    const read = await me.ask(HISTORY, {}, graphql);
    expect([failureOf(read), read.status]).toEqual(['SERVICE_UNAVAILABLE', 503]);
    const sent = await me.ask(SEND, { input: { message: 'during' } });
    expect(failureOf(sent)).toBe('SERVICE_UNAVAILABLE');
    expect((await fetch(`${(await server.serving()).url}/ready`)).status).toBe(503);
    gate.open();
    await expect.poll(async () => (await me.ask(HISTORY)).errors).toBeUndefined();
    // It told under which id the message can be sent again without being doubled.
    const id = sent.errors?.[0]?.extensions['id'] as string;
    await send(me, 'during', { id });
    expect((await me.data<Any>(HISTORY)).chatHistory.nodes).toHaveLength(2);
    gate.close();
  });

  it('finishes running replies before it stops, or keeps what has come', async () => {
    const gemini = await startGeminiServer();
    const { ownerUrl, url } = await createTestDatabase();
    const env = {
      DATA_DIR: dataDir,
      DATABASE_URL: url,
      MIGRATION_DATABASE_URL: ownerUrl,
      GEMINI_API_KEY: 'test-key',
      GEMINI_BASE_URL: gemini.url,
    };
    const server = spawnServer(env);
    const me = await signIn(await server.serving());
    const soon = gemini.gate();
    gemini.script({ chunks: ['in ', 'time'], afterFirst: soon.promise });
    const { id } = await send(me, 'quick', { awaitReply: false });
    await vi.waitFor(() => expect(gemini.running).toBe(1));
    server.child.kill('SIGTERM');
    await vi.waitFor(() => expect(server.output()).toMatch(/stopping/));
    soon.open();
    expect(await server.exited).toBe(0);

    const next = spawnServer(env);
    const again = clientOf(await next.serving(), me.token);
    const { message } = await again.data<Any>(
      'query ($id: ID!) { message(id: $id) { response status } }',
      { id },
    );
    expect(message).toEqual({ response: 'in time', status: 'COMPLETE' });
    await gemini.stop();
  });

  it('writes no text, key or token into its log', async () => {
    const gemini = await startGeminiServer();
    const { ownerUrl } = await createTestDatabase();
    const server = spawnServer({
      DATA_DIR: dataDir,
      DATABASE_URL: ownerUrl,
      LOG_LEVEL: 'trace',
      GEMINI_API_KEY: 'test-key',
      GEMINI_BASE_URL: gemini.url,
    });
    const me = await signIn(await server.serving());
    expect(server.output()).toMatch(/superuser/);
    gemini.script({ chunks: ['canary-reply'], end: 'cut' }, { status: 400 });
    await send(me, 'canary-message', { personalityContext: { tone: 'canary-tone' } });
    await send(me, 'canary-message');
    await me.ask('{ searchChats(query: "canary-query") { nodes { id } } }');
    await me.ask('query canary { nothing }');
    await clientOf(await server.serving(), 'canary-token').ask('{ viewer { id } }');
    expect(server.output()).toMatch(/Gemini failed/);
    expect(server.output()).not.toMatch(/canary|test-key/);
    expect(server.output()).not.toContain(me.token);
    await gemini.stop();
  });
});
