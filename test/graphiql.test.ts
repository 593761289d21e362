import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type TestServer } from './kit/server.ts';

const executablePath = '/usr/bin/chromium';

/** What a person does with the two commands and a browser. */
describe.runIf(existsSync(executablePath))('GraphiQL in a browser', () => {
  let server: TestServer;
  let browser: Browser;
  let context: BrowserContext;
  const outside: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    server = await startServer();
    browser = await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    });
    context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    context.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      if (/^(http|ws)/.test(protocol) && host !== new URL(server.url).host)
        outside.push(request.url());
    });
    context.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  async function open(): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`${server.url}/graphql`);
    await page.getByRole('button', { name: /execute query/i }).waitFor();
    return page;
  }

  async function run(page: Page, operation: string): Promise<void> {
    await page.getByRole('button', { name: /execute query/i }).click();
    await page.getByRole('menuitem', { name: operation }).click();
  }

  /** The response editor's text, unwrapped; Monaco writes spaces that do not break. */
  const shown = async (page: Page): Promise<string> =>
    (await page.locator('.result-window').innerText()).replace(/\s+/g, ' ');

  const shows = (page: Page, text: string | RegExp) =>
    expect.poll(() => shown(page), { timeout: 15_000 }).toMatch(text);

  it('lets a guest sign in, send, read, search, and see it arrive in a second tab', async () => {
    const page = await open();
    await run(page, 'SignIn');
    await shows(page, /accessToken/);

    const tab = await open();
    await run(tab, 'Live');
    await shows(tab, /CaughtUp/);

    await run(page, 'Send');
    await shows(page, /sendMessage.*COMPLETE/);
    await shows(tab, /MessageChanged.*What a wonderful morning.*COMPLETE/);

    await run(page, 'History');
    await shows(page, /chatHistory.*What a wonderful morning/);
    await run(page, 'Search');
    await shows(page, /highlights/);
  });

  it('loads nothing from another host, and complains about nothing', () => {
    expect(outside).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
