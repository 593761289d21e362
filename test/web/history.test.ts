import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  axeFindings,
  browserAvailable,
  launchBrowser,
  openDevice,
  signInDevice,
} from '../kit/browser.ts';
import { type Client, send, signIn } from '../kit/client.ts';
import { seededMessage, seedMany } from '../kit/seed.ts';
import { startServer, type TestServer } from '../kit/server.ts';

const SOON = { timeout: 20_000, interval: 20 };
const COUNT = 10_000;
const DAY_MS = 24 * 60 * 60 * 1000;

describe.skipIf(!browserAvailable)('the history in a browser', () => {
  let server: TestServer;
  let browser: Browser;

  beforeAll(async () => {
    server = await startServer();
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  /** Somebody with a long life here, and their device. */
  async function longLife(options = {}) {
    const person = await signIn(server);
    const to = new Date(Date.now() - DAY_MS);
    const from = new Date(to.getTime() - 8 * 365 * DAY_MS);
    await seedMany(server.database.ownerUrl, person.userId, { count: COUNT, from, to });
    const device = await openDevice(browser, server, options);
    await signInDevice(device, person);
    return { person, device, page: await device.newPage() };
  }

  const scroller = (page: Page) => page.locator('.history-list');
  const exchange = (page: Page, n: number) => page.getByText(seededMessage(n), { exact: true });
  const topOf = async (page: Page, n: number) =>
    exchange(page, n).evaluate((element) => element.getBoundingClientRect().top);
  const idOf = async (person: Client, n: number): Promise<string> => {
    const { searchChats } = await person.data<{ searchChats: { nodes: { id: string }[] } }>(
      'query ($q: String!) { searchChats(query: $q) { nodes { id } } }',
      { q: `"number${n},"` },
    );
    return searchChats.nodes[0]?.id as string;
  };

  it('I open the page and am at the end of what was said, without a second round of loading', async () => {
    const { page } = await longLife({ serviceWorkers: 'block' });
    let pages = 0;
    // Older pages are read ahead; here they never come.
    await page.route('**/graphql', async (route) => {
      const isPage = route.request().postData()?.includes('HistoryPage');
      if (isPage) pages += 1;
      if (!isPage || pages === 1) await route.continue();
    });
    await page.goto('/');
    await exchange(page, COUNT - 1).waitFor();
    expect(await page.locator('[data-created-at]').count()).toBe(50);
    const gap = await page.evaluate(() => {
      const list = document.querySelector('.history-list') as HTMLElement;
      return list.scrollHeight - list.scrollTop - list.clientHeight;
    });
    expect(gap).toBeLessThanOrEqual(1);
  });

  it('I scroll back through hundreds of messages, and nothing that I read moves by a pixel', async () => {
    const { page } = await longLife();
    await page.goto('/');
    await exchange(page, COUNT - 1).waitFor();
    let last = COUNT - 1;
    for (let turn = 0; turn < 60; turn += 1) {
      // What is read stands still while older pages come in above it, and are laid out.
      const moved = await page.evaluate(async () => {
        const frames = async (count: number) => {
          for (let n = 0; n < count; n += 1) await new Promise(requestAnimationFrame);
        };
        const list = document.querySelector('.history-list') as HTMLElement;
        const top = (element: Element) => element.getBoundingClientRect().top;
        list.scrollTop -= 700;
        await frames(2);
        const all = [...document.querySelectorAll('[data-created-at]')];
        const read = all.find((element) => top(element) > 100);
        const before = read ? top(read) : 0;
        await frames(20);
        return read?.isConnected ? Math.abs(top(read) - before) : Number.NaN;
      });
      expect(moved).toBeLessThan(1);
      const top = await page.evaluate(
        () => document.querySelector('[data-created-at] .said')?.textContent ?? '',
      );
      last = Math.min(last, Number(/number(\d+)/.exec(top)?.[1] ?? last));
    }
    expect(last).toBeLessThan(COUNT - 150);
  });

  it('I scroll back through all 10,000 to where it began, and every one of them was there', {
    timeout: 180_000,
  }, async () => {
    const { page } = await longLife();
    await page.goto('/');
    await exchange(page, COUNT - 1).waitFor();
    const seen = await page.evaluate(async () => {
      const list = document.querySelector('.history-list') as HTMLElement;
      const numbers = new Set<string>();
      for (let began = false; !began; ) {
        began = list.querySelector('.history-began') !== null;
        for (const entry of list.querySelectorAll('[data-created-at]')) {
          numbers.add(/number(\d+)/.exec(entry.textContent ?? '')?.[1] ?? '');
        }
        list.scrollTop = 0;
        await new Promise(requestAnimationFrame);
      }
      return numbers.size;
    });
    expect(seen).toBe(COUNT);
  });

  it('I open a message by its own link, with what was said around it, and go on from there both ways', async () => {
    const { person, page } = await longLife();
    await page.goto(`/m/${await idOf(person, 4_000)}`);
    await exchange(page, 4_000).waitFor();
    await expect.poll(() => topOf(page, 4_000), SOON).toBeGreaterThan(0);
    await scroller(page).hover();
    await expect
      .poll(async () => {
        await page.mouse.wheel(0, 1_500);
        return exchange(page, 4_120).count();
      }, SOON)
      .toBe(1);
    await expect
      .poll(async () => {
        await page.mouse.wheel(0, -1_500);
        return exchange(page, 3_900).count();
      }, SOON)
      .toBe(1);
    await page.getByRole('button', { name: 'To the newest' }).click();
    await exchange(page, COUNT - 1).waitFor();
    expect(new URL(page.url()).pathname).toBe('/');
  });

  it('a link to a message that is gone says so, and shows the newest', async () => {
    const { page } = await longLife();
    await page.goto('/m/00000000-0000-4000-8000-000000000000');
    await page.getByText('That message is not here any more.').waitFor();
    await exchange(page, COUNT - 1).waitFor();
  });

  it('what another device sends appears at the end, and does not pull me there while I read', async () => {
    const { person, page } = await longLife();
    await page.goto('/');
    await exchange(page, COUNT - 1).waitFor();
    await send(person, 'From my other device');
    await page.getByText('From my other device', { exact: true }).waitFor();
    await scroller(page).hover();
    await page.mouse.wheel(0, -3_000);
    await page.getByRole('button', { name: 'To the end' }).waitFor();
    const before = await page.evaluate(() => document.querySelector('.history-list')?.scrollTop);
    await send(person, 'And another one');
    await expect
      .poll(() => page.evaluate(() => document.querySelector('.history-list')?.scrollTop), SOON)
      .toBe(before);
    await page.getByRole('button', { name: 'To the end' }).click();
    await page.getByText('And another one', { exact: true }).waitFor();
  });

  it.each(['light', 'dark'] as const)('axe finds nothing in the %s', async (colorScheme) => {
    const { page } = await longLife({ colorScheme });
    await page.goto('/');
    await exchange(page, COUNT - 1).waitFor();
    expect(await axeFindings(page)).toEqual([]);
  });
});
