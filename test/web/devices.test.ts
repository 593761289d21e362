import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  axeFindings,
  browserAvailable,
  launchBrowser,
  openDevice,
  signInDevice,
} from '../kit/browser.ts';
import { type Client, HISTORY, signIn } from '../kit/client.ts';
import { startServer, type TestServer } from '../kit/server.ts';

const SOON = { timeout: 20_000, interval: 20 };
const PHONE = { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true };

describe.skipIf(!browserAvailable)('devices of one person', () => {
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

  async function openPage(person: Client, options = {}): Promise<Page> {
    const device = await openDevice(browser, server, options);
    await signInDevice(device, person);
    const page = await device.newPage();
    await page.goto('/');
    return page;
  }

  const composer = (page: Page) => page.getByRole('textbox', { name: 'Message' });
  const exchanges = (page: Page) =>
    page.locator('.exchange').evaluateAll((all) => all.map((one) => one.textContent));

  async function write(page: Page, text: string): Promise<void> {
    await composer(page).fill(text);
    await composer(page).press('Enter');
  }

  /** The reply has ended: nothing is being written any more. */
  const settled = (page: Page) =>
    expect.poll(() => page.locator('.reply[aria-busy="true"], .unsent').count(), SOON).toBe(0);

  it('show the same, once and in one order, whichever of them writes', async () => {
    const person = await signIn(server);
    const [desk, phone] = [await openPage(person), await openPage(person, PHONE)];
    await write(desk, 'Written at the desk');
    await phone.getByText('Written at the desk', { exact: true }).waitFor();
    await write(phone, 'And this on the phone');
    await phone.getByRole('button', { name: 'Send' }).click();
    await desk.getByText('And this on the phone', { exact: true }).waitFor();
    for (const page of [desk, phone]) await settled(page);
    const { chatHistory } = await person.data<{ chatHistory: { nodes: { response: string }[] } }>(
      HISTORY,
    );
    const replies = chatHistory.nodes.map(({ response }) => response).reverse();
    expect(replies).toHaveLength(2);
    for (const page of [desk, phone]) {
      await expect.poll(async () => (await exchanges(page)).length, SOON).toBe(2);
      for (const [n, reply] of replies.entries()) {
        const [firstLine = ''] = reply.split('\n');
        expect((await exchanges(page))[n]).toContain(firstLine.slice(0, 40));
      }
    }
  });

  it('are not put back by an answer that comes after the reply has ended', async () => {
    const person = await signIn(server);
    const device = await openDevice(browser, server, { serviceWorkers: 'block' });
    await signInDevice(device, person);
    const page = await device.newPage();
    let answer = () => {};
    const mayAnswer = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route('**/graphql', async (route) => {
      if (!route.request().postData()?.includes('SendMessage')) return route.continue();
      const response = await route.fetch();
      await mayAnswer;
      await route.fulfill({ response });
    });
    await page.goto('/');
    await write(page, 'A slow line');
    await page.getByText('A slow line', { exact: true }).waitFor();
    await expect
      .poll(() => page.locator('.exchange:not(.unsent) .reply[aria-busy="false"]').count(), SOON)
      .toBe(1);
    const before = await exchanges(page);
    const answered = page.waitForResponse((response) =>
      Boolean(response.request().postData()?.includes('SendMessage')),
    );
    answer();
    await (await answered).finished();
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
    expect(await exchanges(page)).toEqual(before);
    expect(await page.locator('.reply[aria-busy="true"]').count()).toBe(0);
  });

  it('forget on all of them what is deleted on one', async () => {
    const person = await signIn(server);
    const [desk, other] = [await openPage(person), await openPage(person)];
    await write(desk, 'Not for keeping');
    await other.getByText('Not for keeping', { exact: true }).waitFor();
    await settled(desk);
    await desk.locator('.exchange').hover();
    await desk.getByRole('button', { name: 'Delete' }).first().click();
    await desk
      .getByRole('button', { name: /^Delete/ })
      .last()
      .click();
    for (const page of [desk, other]) {
      await expect.poll(() => page.getByText('Not for keeping').count(), SOON).toBe(0);
    }
  });

  it('can be used by the keyboard alone', async () => {
    const page = await openPage(await signIn(server));
    await page.getByRole('heading', { name: 'A conversation to keep' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('Without a mouse');
    await page.keyboard.press('Enter');
    await page.getByText('Without a mouse', { exact: true }).waitFor();
    await settled(page);
    const reached = new Set<string>();
    for (let n = 0; n < 40; n += 1) {
      await page.keyboard.press('Tab');
      const name = await page.evaluate(() => {
        const { activeElement: at } = document;
        const shown = at && at.getClientRects().length > 0;
        return shown ? (at.getAttribute('aria-label') ?? at.textContent ?? '') : 'nothing';
      });
      reached.add(name);
    }
    for (const name of ['Message', 'Copy reply', 'Conversation'])
      expect([...reached]).toContain(name);
  });

  it.each([
    ['at a desk', {}],
    ['on a phone', PHONE],
    ['at night', { colorScheme: 'dark' }],
    ['on a phone at night', { ...PHONE, colorScheme: 'dark' }],
  ] as const)(
    'have nothing that axe finds, and nothing beside the page, %s',
    async (_, options) => {
      const page = await openPage(await signIn(server), options);
      await write(page, `A long word: ${'wonderful'.repeat(30)}\n\nשלום עולם`);
      if ('hasTouch' in options) await page.getByRole('button', { name: 'Send' }).click();
      await page.locator('.exchange').waitFor();
      await settled(page);
      expect(await axeFindings(page)).toEqual([]);
      const { wide, page: width } = await page.evaluate(() => ({
        wide: document.querySelector('.history-list')?.scrollWidth ?? 0,
        page: window.innerWidth,
      }));
      expect(wide).toBeLessThanOrEqual(width);
    },
  );
});
