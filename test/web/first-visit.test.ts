import { rm } from 'node:fs/promises';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { axeFindings, browserAvailable, launchBrowser, openDevice } from '../kit/browser.ts';
import { type Any, clientOf, HISTORY, send, signIn } from '../kit/client.ts';
import { startServer, type TestServer } from '../kit/server.ts';

interface Kept {
  readonly token: string;
  readonly userId: string;
}

describe.runIf(browserAvailable)('A first visit', () => {
  let browser: Browser;
  let server: TestServer;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchBrowser(), startServer()]);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  const composer = (page: Page) => page.getByRole('textbox', { name: 'Message' });

  async function open(device: BrowserContext, path = '/'): Promise<Page> {
    const page = await device.newPage();
    await page.goto(path);
    await composer(page).waitFor();
    return page;
  }

  const keptBy = async (page: Page): Promise<Kept> =>
    JSON.parse(await page.evaluate(() => localStorage.getItem('chatkeep:guest') ?? 'null'));

  const messagesOf = async ({ token }: Kept): Promise<string[]> =>
    (await clientOf(server, token).data<Any>(HISTORY)).chatHistory.nodes.map(
      ({ message }: Any) => message,
    );

  /** Written by the page's guest, wherever: the page shows it. */
  async function write(page: Page, message: string): Promise<void> {
    await send(clientOf(server, (await keptBy(page)).token), message);
    await page.getByText(message, { exact: true }).waitFor();
  }

  async function linkOf(page: Page): Promise<string> {
    await page.getByRole('button', { name: 'This conversation' }).click();
    await page.getByRole('button', { name: 'Open on another device' }).click();
    return page.getByRole('textbox', { name: 'The link' }).inputValue();
  }

  it('makes a stranger a guest at once, who can write', async () => {
    const page = await open(await openDevice(browser, server));
    await composer(page).fill('Good morning from nobody in particular');
    await composer(page).press('Enter');
    await expect
      .poll(async () => messagesOf(await keptBy(page)))
      .toEqual(['Good morning from nobody in particular']);
    expect(await axeFindings(page)).toEqual([]);
  });

  it('makes two tabs that are opened at once one guest', async () => {
    const device = await openDevice(browser, server);
    // No answer before both are there.
    let answer = () => {};
    const areLoaded = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let guests = 0;
    await device.route('**/graphql', async (route) => {
      if (route.request().postData()?.includes('signInAsGuest')) {
        guests += 1;
        await areLoaded;
      }
      await route.continue();
    });
    const tabs = await Promise.all([device.newPage(), device.newPage()]);
    await Promise.all(tabs.map((tab) => tab.goto('/')));
    answer();
    await Promise.all(tabs.map((tab) => composer(tab).waitFor()));
    expect(guests).toBe(1);
    const [one, other] = await Promise.all(tabs.map(keptBy));
    expect(one).toEqual(other);
    // Each of them speaks for that guest, and not only the one that was kept last.
    for (const [n, tab] of tabs.entries()) await write(tab, `for tab ${n}`);
    for (const tab of tabs) expect(await tab.getByText('for tab').count()).toBe(2);
  });

  it('is the same guest after a reload', async () => {
    const page = await open(await openDevice(browser, server));
    const before = await keptBy(page);
    await write(page, 'remember me');
    await page.reload();
    await page.getByText('remember me').waitFor();
    expect(await keptBy(page)).toEqual(before);
  });

  it('says so while the server is away, and goes on by itself once it is back', async () => {
    const device = await openDevice(browser, server, {}, /Failed to load resource/);
    let away = true;
    await device.route('**/graphql', (route) => (away ? route.abort() : route.continue()));
    const page = await device.newPage();
    await page.goto('/');
    await page.getByText('The server cannot be reached right now').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    away = false;
    await composer(page).waitFor();
  });

  it('goes on on another device by a link, which does not stay in its address', async () => {
    const laptop = await open(await openDevice(browser, server));
    await write(laptop, 'begun on the laptop');
    const link = await linkOf(laptop);
    expect(await axeFindings(laptop)).toEqual([]);

    const phone = await openDevice(browser, server, {
      viewport: { width: 320, height: 640 },
      colorScheme: 'dark',
    });
    const page = await open(phone, link);
    await page.getByText('begun on the laptop').waitFor();
    expect(page.url()).toBe(`${server.url}/`);
    expect(await keptBy(page)).toEqual(await keptBy(laptop));
    expect(await linkOf(page)).toBe(link);
    expect(await axeFindings(page)).toEqual([]);
  });

  it('asks before a link replaces a conversation in which something was written', async () => {
    const other = await signIn(server);
    await send(other, 'the other conversation');
    const page = await open(await openDevice(browser, server));
    await write(page, 'this conversation');
    const mine = await keptBy(page);

    // In the page that is open: only what stands behind the # changes.
    await page.goto(`/#join=${other.token}`);
    await page.getByRole('heading', { name: 'Which conversation?' }).waitFor();
    expect(page.url()).toBe(`${server.url}/`);
    await page.getByText('the other conversation').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    await page.getByRole('button', { name: 'Stay with this one' }).click();
    await composer(page).waitFor();
    expect(await keptBy(page)).toEqual(mine);

    await page.goto(`/#join=${other.token}`);
    await page.getByRole('button', { name: 'Open the link’s conversation' }).click();
    await page.getByText('the other conversation').waitFor();
    expect((await keptBy(page)).userId).toBe(other.userId);
    const kept = await page.evaluate((key) => localStorage.getItem(key), keyOf(mine));
    expect(JSON.parse(kept ?? '')).toEqual(mine);
  });

  it('goes on without a link that leads nowhere', async () => {
    const page = await (await openDevice(browser, server)).newPage();
    await page.goto('/#join=nothing-of-ours');
    await page.getByRole('button', { name: 'Go on without it' }).click();
    await composer(page).waitFor();
  });

  it('remembers the look that was chosen, from the first paint on', async () => {
    const page = await open(await openDevice(browser, server));
    await page.getByRole('button', { name: 'This conversation' }).click();
    await page.getByRole('radio', { name: 'Night' }).check();
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const night = await ground();
    expect(await axeFindings(page)).toEqual([]);
    await page.reload();
    await composer(page).waitFor();
    expect(await ground()).toBe(night);
    await page.getByRole('button', { name: 'This conversation' }).click();
    await page.getByRole('radio', { name: 'As the system has it' }).check();
    expect(await ground()).not.toBe(night);
  });

  describe('whose key the server does not take any more', () => {
    it('is told so in words, and keeps it when beginning anew', async () => {
      const own = await startServer();
      const device = await openDevice(browser, own, {}, /ERR_CONNECTION_REFUSED|401/);
      const page = await open(device);
      const before = await keptBy(page);
      await send(clientOf(own, before.token), 'it is connected');
      await page.getByText('it is connected').waitFor();
      await own.stop();

      // The same address, another key: whoever runs the server set it up anew.
      const next = await startServer({ beside: own, env: { PORT: new URL(own.url).port } });
      const refusal = page.getByText('does not accept this guest’s key');
      // Over WebSocket, and after a reload over HTTP too.
      const comeBack = () => page.evaluate(() => window.dispatchEvent(new Event('online')));
      await expect
        .poll(() => comeBack().then(() => refusal.isVisible()), { timeout: 20_000 })
        .toBe(true);
      await page.reload();
      await refusal.waitFor();
      expect(await axeFindings(page)).toEqual([]);
      await page
        .getByRole('region', { name: 'Not let in' })
        .getByRole('button', { name: 'Try again' })
        .click();
      await page.getByText('It still does not').waitFor();
      expect(await keptBy(page)).toEqual(before);

      await page.getByRole('button', { name: 'Begin anew as another guest' }).click();
      await refusal.waitFor({ state: 'hidden' });
      expect((await keptBy(page)).userId).not.toBe(before.userId);
      const kept = await page.evaluate((key) => localStorage.getItem(key), keyOf(before));
      expect(JSON.parse(kept ?? '')).toEqual(before);
      await page.close();
      await next.stop();
      await rm(own.dataDir, { recursive: true, force: true });
    });
  });
});

const keyOf = ({ userId }: Kept) => `chatkeep:guest:${userId}`;
