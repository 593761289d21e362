import { Registry } from 'prom-client';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { MetricValues } from '../src/server/metrics.ts';
import type { Status } from '../src/server/status-page.ts';
import { successOf } from '../src/server/success.ts';
import { createTimings } from '../src/server/timings.ts';
import { type Any, clientOf, HISTORY, SEARCH, SEND, send, signIn } from './kit/client.ts';
import { createTestDatabase } from './kit/database.ts';
import { startGate } from './kit/gate.ts';
import { startGeminiServer } from './kit/gemini-server.ts';
import { startServerForTest, type TestServer } from './kit/server.ts';

const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

async function statusOf({ url }: Pick<TestServer, 'url'>): Promise<Status> {
  const response = await fetch(`${url}/status`);
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'application/json',
  ]);
  return (await response.json()) as Status;
}

const countsOf = ({ measures }: Status) =>
  Object.fromEntries(measures.map(({ name, count }) => [name, count]));

describe('the state of the server', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startServerForTest();
  });

  it('is counted by what was answered, and whether the cache had it', async () => {
    const before = await statusOf(server);
    expect(before).toMatchObject({ version: '0.1.0', processes: 1, postgres: 'up', redis: 'none' });
    expect(before.measures.map(({ measured, kept }) => [measured, kept])).toEqual(
      Array.from({ length: 6 }, () => [null, null]),
    );
    const me = await signIn(server);
    await send(me, 'to be counted');
    for (let i = 0; i < 4; i += 1) await me.data(HISTORY);
    for (let i = 0; i < 3; i += 1) await me.data(SEARCH, { query: 'counted' });
    // Of these none has a page.
    await me.ask(HISTORY, { after: 'forged' });
    await clientOf(server).ask(HISTORY);
    await clientOf(server, 'forged').ask(HISTORY);
    await me.ask('{ viewer { id } }');

    const status = await statusOf(server);
    const { invalidation, ...counts } = countsOf(status);
    expect(counts).toEqual({
      cacheHitRate: 7,
      historyHit: 3,
      historyMiss: 1,
      searchHit: 2,
      send: 1,
    });
    expect(invalidation).toBeGreaterThan(1);
    expect(status.measures[0]).toMatchObject({ measured: 5 / 7, target: 0.7, kept: true });
    for (const { measured, kept } of status.measures) {
      expect(measured).toBeGreaterThan(0);
      expect(typeof kept).toBe('boolean');
    }
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    for (const [labels, count] of [
      ['operation="history",cache="hit"', 3],
      ['operation="history",cache="miss"', 1],
      ['operation="search",cache="hit"', 2],
      ['operation="search",cache="miss"', 1],
    ])
      expect(metrics).toContain(`chatkeep_page_duration_seconds_count{${labels}} ${count}\n`);
    expect(metrics).toContain('chatkeep_send_duration_seconds_bucket{le="+Inf"} 1\n');
    expect(metrics).toContain(`chatkeep_lease_move_duration_seconds_count ${invalidation}\n`);
  });

  it('counts a message as sent once it is safe, not once it is answered, and a retry never', async () => {
    const gemini = await startGeminiServer();
    onTestFinished(() => gemini.stop());
    const env = { GEMINI_API_KEY: 'test-key', GEMINI_BASE_URL: gemini.url };
    const asked = await startServerForTest({ env });
    const me = await signIn(asked);
    const soon = gemini.gate();
    gemini.script({ chunks: ['slow ', 'words'], afterFirst: soon.promise });
    const input = { id: '0190b5a4-0000-7000-8000-000000000001', message: 'think about it' };
    const answering = me.data<Any>(SEND, { input });
    await vi.waitFor(() => expect(gemini.running).toBe(1));
    expect(countsOf(await statusOf(asked))['send']).toBe(1);
    soon.open();
    await answering;
    await me.data(SEND, { input });
    expect(countsOf(await statusOf(asked))['send']).toBe(1);
  });

  it('is a page for a browser, of own files alone', async () => {
    const me = await signIn(server);
    await send(me, 'to be shown');
    const response = await fetch(`${server.url}/status`, { headers: BROWSER });
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('vary')).toBe('accept');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const html = await response.text();
    expect(html).toContain('A message stored, without the time of the model');
    expect(html).toContain('less than 50 ms');
    expect(html).toContain('more than 70 %');
    // One message is no reason for praise or blame.
    expect(html).toContain('All is well.');
    expect(html).toContain('<strong>too few yet</strong>');
    expect(html).not.toMatch(/<strong>(kept|missed)</);
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|https?:/);
    const links = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, link]) => link);
    expect(links).toEqual(['/status/style.css', '/status/page.js']);
    for (const link of links) expect((await fetch(server.url + link)).status, link).toBe(200);
    expect((await fetch(`${server.url}/status/status.ts`)).status).toBe(404);
    expect((await fetch(`${server.url}/status`, { method: 'POST' })).status).toBe(405);
  });

  it('says what is away', async () => {
    const { url, ownerUrl } = await createTestDatabase();
    const gate = await startGate(url);
    onTestFinished(() => gate.close());
    const env = { DATABASE_URL: gate.url, MIGRATION_DATABASE_URL: ownerUrl };
    const cut = await startServerForTest({ env });
    gate.shut();
    expect(await statusOf(cut)).toMatchObject({ postgres: 'down' });
    const html = await (await fetch(`${cut.url}/status`, { headers: BROWSER })).text();
    expect(html).toContain('PostgreSQL is away: nothing can be read or sent until it is back.');
    gate.open();
    await expect.poll(async () => (await statusOf(cut)).postgres).toBe('up');
  });
});

describe('a promise of time', () => {
  /** What is measured of hits that took so many ms. */
  async function hits(...times: readonly number[]) {
    const registry = new Registry();
    const name = 'chatkeep_page_duration_seconds';
    const labels = { operation: 'history', cache: 'hit' };
    const { hit } = createTimings(registry, { name, help: 'Hits.' }, { hit: labels });
    for (const ms of times) hit(performance.now() - ms);
    const values = (await registry.getMetricsAsJSON()) as unknown as MetricValues;
    return successOf(values).find(({ name }) => name === 'historyHit');
  }
  const many = (count: number, ms: number) => Array.from({ length: count }, () => ms);

  it('is kept when 95 of 100 are in time, and missed when 94 are', async () => {
    expect(await hits(...many(95, 7), ...many(5, 200))).toMatchObject({ within: 0.95, kept: true });
    const missed = await hits(...many(94, 7), ...many(6, 200));
    expect(missed).toMatchObject({ within: 0.94, kept: false });
    // Five of the six that took 100 to 250 ms are above it.
    expect(missed?.measured).toBeCloseTo(0.1 + 0.15 / 6);
  });

  it('does not make up how long the longest took', async () => {
    expect(await hits(60_000)).toMatchObject({ measured: 10, within: 0, kept: false });
  });
});
