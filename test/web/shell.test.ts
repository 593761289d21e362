import { createServer } from 'node:http';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { browserAvailable, launchBrowser, openDevice } from '../kit/browser.ts';
import { startServerForTest, type TestServer } from '../kit/server.ts';

/** What Chromium itself says of a server that is away. */
const AWAY = /^(Failed to load resource|WebSocket connection to)/;

describe.runIf(browserAvailable)('without the server', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  /** A page that was looked at once, and is kept since. */
  async function visit(mayComplain?: RegExp): Promise<{ page: Page; server: TestServer }> {
    const server = await startServerForTest();
    const page = await (await openDevice(browser, server, {}, mayComplain)).newPage();
    await page.goto('/');
    await isShown(page);
    await page.evaluate(() => navigator.serviceWorker.ready);
    return { page, server };
  }

  /** One can write on it. */
  const isShown = (page: Page) => page.getByRole('textbox').waitFor();

  const kept = (page: Page): Promise<string[]> =>
    page.evaluate(async () => {
      const requests = await (await caches.open('shell')).keys();
      return requests.map(({ url }) => new URL(url).pathname).sort();
    });

  const keptPage = (page: Page) => page.evaluate(async () => (await caches.match('/'))?.text());

  it('the page is there all the same, at every address of its own', async () => {
    const { page, server } = await visit(AWAY);
    await server.stop();
    await page.reload();
    await isShown(page);
    await page.goto('/search?q=spring');
    // Over what one can write on, as soon as its part of the page is there.
    await page.getByRole('combobox').waitFor();
    await expect(page.goto('/graphql')).rejects.toThrow(/ERR_CONNECTION_REFUSED/);
  });

  it('the page is there though a proxy answers in its place', async () => {
    const { page, server } = await visit(AWAY);
    await server.stop();
    const proxy = createServer((_, response) => response.writeHead(502).end('Bad gateway'));
    await new Promise<void>((resolve) => {
      proxy.listen(Number(new URL(server.url).port), '127.0.0.1', resolve);
    });
    onTestFinished(() => void proxy.close());
    expect((await page.reload())?.status()).toBe(200);
    await isShown(page);
  });

  it('nothing is kept but the page and its assets', async () => {
    const { page } = await visit();
    await page.goto('/m/0199a0c4-0000-7000-8000-000000000000');
    await page.evaluate(() => fetch('/graphql?query={__typename}'));
    await page.goto('/graphql', { waitUntil: 'commit' });
    expect(await keptPage(page)).toContain('id="settings"');
    await page.goto('/');
    await isShown(page);
    expect(await page.evaluate(() => !!navigator.serviceWorker.controller)).toBe(true);
    const paths = await kept(page);
    expect(paths.filter((path) => !path.startsWith('/assets/'))).toEqual(['/']);
    expect(paths.length).toBeGreaterThan(1);
  });

  it('a new build is shown at once, and assets of the old one are dropped', async () => {
    const { page } = await visit();
    const paths = await kept(page);
    await page.evaluate(async () => {
      const shell = await caches.open('shell');
      const headers = { 'content-type': 'text/html' };
      await shell.put('/', new Response('<p>The page of the old build</p>', { headers }));
      await shell.put('/assets/old-1.js', new Response(''));
      await (await navigator.serviceWorker.ready).unregister();
    });
    await page.reload();
    await isShown(page);
    await expect.poll(() => kept(page), { timeout: 15_000 }).toEqual(paths);
    expect(await keptPage(page)).toContain('id="settings"');
  });
});
