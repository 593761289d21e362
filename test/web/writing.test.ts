import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  axeFindings,
  browserAvailable,
  launchBrowser,
  openDevice,
  signInDevice,
} from '../kit/browser.ts';
import { type Any, type Client, HISTORY, signIn } from '../kit/client.ts';
import { type GeminiServer, startGeminiServer } from '../kit/gemini-server.ts';
import { startServer, startServerForTest, type TestServer } from '../kit/server.ts';

/** A page's service worker would take its requests past `route`. */
const ROUTED = { serviceWorkers: 'block' } as const;
/** What Chromium says itself about a network that is away, and about what is refused. */
const REFUSED = /status of 400/;
const OFFLINE = /ERR_INTERNET_DISCONNECTED|ERR_FAILED|WebSocket connection/;

describe.runIf(browserAvailable)('Writing', () => {
  let gemini: GeminiServer;
  let server: TestServer;
  let browser: Browser;
  let user: Client;

  beforeAll(async () => {
    gemini = await startGeminiServer();
    server = await startServer({
      env: { GEMINI_API_KEY: 'test-key', GEMINI_BASE_URL: gemini.url },
    });
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
    await gemini.stop();
  });
  beforeEach(async () => {
    gemini.reset();
    user = await signIn(server);
  });

  const field = (page: Page) => page.getByRole('textbox', { name: 'Message' });
  const exchange = (page: Page, text: string) =>
    page.getByRole('article').filter({ hasText: text });

  async function openTab(mayComplain?: RegExp, options = {}) {
    const device = await openDevice(browser, server, options, mayComplain);
    await signInDevice(device, user);
    const page = await device.newPage();
    await page.goto('/');
    await field(page).waitFor();
    return { device, page };
  }

  const stored = async () =>
    (await user.data<Any>(HISTORY)).chatHistory.nodes as { id: string; message: string }[];
  const storedTexts = async () => (await stored()).map(({ message }) => message);

  it('sends with Enter and begins a new line with Shift+Enter', async () => {
    const { page } = await openTab();
    await field(page).click();
    await page.keyboard.type('One line');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('and another');
    await expect.poll(() => field(page).inputValue()).toBe('One line\nand another');
    await page.keyboard.press('Enter');
    await exchange(page, 'You wrote One line').waitFor();
    expect(await field(page).inputValue()).toBe('');
    expect(await storedTexts()).toEqual(['One line\nand another']);
  });

  it('does not send while an input method composes, nor what is blank', async () => {
    const { page } = await openTab();
    const press = (init: object) =>
      field(page).evaluate((element, options) => {
        element.dispatchEvent(
          new KeyboardEvent('keydown', {
            key: 'Enter',
            bubbles: true,
            cancelable: true,
            ...options,
          }),
        );
      }, init);
    await field(page).fill('にほん');
    await press({ isComposing: true });
    await press({ keyCode: 229 });
    expect(await field(page).inputValue()).toBe('にほん');
    await field(page).fill('  \n ');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true);
    await field(page).fill('日本');
    await press({});
    await exchange(page, 'You wrote 日本').waitFor();
    expect(await storedTexts()).toEqual(['日本']);
  });

  it('begins a new line with Enter on a touch screen, where a button sends', async () => {
    const { page } = await openTab(undefined, {
      hasTouch: true,
      isMobile: true,
      viewport: { width: 360, height: 700 },
    });
    await field(page).tap();
    await page.keyboard.type('a');
    await page.keyboard.press('Enter');
    await page.keyboard.type('b');
    expect(await field(page).inputValue()).toBe('a\nb');
    await page.getByRole('button', { name: 'Send' }).tap();
    await exchange(page, 'You wrote a').waitFor();
    expect(await storedTexts()).toEqual(['a\nb']);
  });

  it('finds the draft again after a reload, and none after sending', async () => {
    const { page } = await openTab();
    await field(page).fill('Not quite rea');
    await page.keyboard.type('dy');
    await page.reload();
    await expect.poll(() => field(page).inputValue()).toBe('Not quite ready');
    await field(page).press('Enter');
    await exchange(page, 'You wrote Not quite ready').waitFor();
    await page.reload();
    await exchange(page, 'You wrote Not quite ready').waitFor();
    expect(await field(page).inputValue()).toBe('');
  });

  it('comes to the composer from anywhere with a slash, which is also just a slash', async () => {
    const { page } = await openTab();
    await page.getByRole('heading', { name: 'A conversation to keep' }).click();
    await page.keyboard.press('/');
    await expect.poll(() => field(page).evaluate((it) => it === document.activeElement)).toBe(true);
    await page.keyboard.press('/');
    expect(await field(page).inputValue()).toBe('/');
  });

  it('grows with the text, and says when it becomes too long', async () => {
    const { page } = await openTab();
    const height = () => field(page).evaluate((element) => element.getBoundingClientRect().height);
    const oneLine = await height();
    await field(page).fill('a\nb\nc\nd');
    expect(await height()).toBeGreaterThan(2 * oneLine);
    await field(page).fill('line\n'.repeat(200));
    expect(await height()).toBeLessThanOrEqual(0.4 * 800);
    await field(page).fill('x'.repeat(31_990));
    await page.getByText('10 characters left.').waitFor();
    await field(page).fill('x'.repeat(32_001));
    await page.getByText('1 character too many').waitFor();
    expect(await page.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true);
    expect(await axeFindings(page)).toEqual([]);
  });

  it('keeps what is written without a network, and sends it once when it is back', async () => {
    const { device, page } = await openTab(OFFLINE);
    await device.setOffline(true);
    for (const text of ['First of all', 'Then this']) {
      await field(page).fill(text);
      await page.keyboard.press('Enter');
    }
    const kept = exchange(page, 'Then this').getByText('Kept on this device, goes out when');
    await kept.waitFor();
    expect(await axeFindings(page)).toEqual([]);
    const ids = await page.evaluate(() =>
      Object.keys(localStorage)
        .filter((key) => key.startsWith('chatkeep:outbox:'))
        .map((key) => key.slice(-36))
        .sort(),
    );
    expect(await stored()).toEqual([]);
    await device.setOffline(false);
    await exchange(page, 'You wrote Then this').waitFor();
    await kept.waitFor({ state: 'detached' });
    const nodes = await stored();
    expect(nodes.map(({ message }) => message)).toEqual(['Then this', 'First of all']);
    expect(nodes.map(({ id }) => id).reverse()).toEqual(ids);
    expect(await page.getByRole('article').count()).toBe(2);
  });

  it('goes on after a reload with what did not get through', async () => {
    const { page } = await openTab(OFFLINE, ROUTED);
    const asked: string[] = [];
    await page.route('**/graphql', async (route) => {
      const { variables } = route.request().postDataJSON() ?? {};
      if (!variables?.input) return route.continue();
      asked.push(variables.input.id);
      await route.abort();
    });
    await field(page).fill('Through thick and thin');
    await page.keyboard.press('Enter');
    await exchange(page, 'Through thick and thin').getByText('Kept on this device').waitFor();
    await page.unroute('**/graphql');
    await page.reload();
    await exchange(page, 'You wrote Through thick and thin').waitFor();
    expect((await stored()).map(({ id }) => id)).toEqual([asked[0]]);
  });

  it('sends once when the answer is lost and two tabs want to try again', async () => {
    const { device, page } = await openTab(OFFLINE, ROUTED);
    let sends = 0;
    await device.route('**/graphql', async (route) => {
      const { variables } = route.request().postDataJSON() ?? {};
      if (variables?.input && ++sends === 1) {
        await route.fetch();
        return route.abort();
      }
      return route.continue();
    });
    const other = await device.newPage();
    await other.goto('/');
    await field(other).waitFor();
    await field(page).fill('Only once');
    await page.keyboard.press('Enter');
    for (const tab of [page, other]) {
      await exchange(tab, 'You wrote Only once').waitFor();
      await expect
        .poll(() => tab.evaluate(() => Object.keys(localStorage).join()))
        .not.toContain('chatkeep:outbox:');
      expect(await tab.getByRole('article').count()).toBe(1);
    }
    expect(await storedTexts()).toEqual(['Only once']);
  });

  it('says why a message was refused, and lets it be edited, sent again or discarded', async () => {
    const { page } = await openTab(REFUSED, ROUTED);
    let refuses = true;
    await page.route('**/graphql', async (route) => {
      const request = route.request().postDataJSON();
      if (!refuses || !request?.variables?.input) return route.continue();
      // The server itself refuses an id that is none.
      request.variables.input.id = 'not-an-id';
      await route.continue({ postData: JSON.stringify(request) });
    });
    const write = async (text: string) => {
      await field(page).fill(text);
      await page.keyboard.press('Enter');
      await exchange(page, text).getByText('Not sent.').waitFor();
    };
    await write('Edit me');
    expect(await axeFindings(page)).toEqual([]);
    await page.getByRole('button', { name: 'Edit' }).click();
    await expect.poll(() => field(page).inputValue()).toBe('Edit me');
    await page.getByRole('article').waitFor({ state: 'detached' });
    await write('Discard me');
    await page.getByRole('button', { name: 'Discard' }).click();
    await page.getByRole('article').waitFor({ state: 'detached' });
    await write('Send me again');
    refuses = false;
    await page.getByRole('button', { name: 'Send again' }).click();
    await exchange(page, 'You wrote Send me again').waitFor();
    expect(await storedTexts()).toEqual(['Send me again']);
  });

  it('keeps for a moment what was written too fast', async () => {
    const strict = await startServerForTest({ env: { RATE_LIMIT_PER_MINUTE: '1' } });
    const device = await openDevice(browser, strict, {}, /status of (400|429)/);
    const page = await device.newPage();
    await page.goto('/');
    for (const text of ['At once', 'And again']) {
      await field(page).fill(text);
      await page.keyboard.press('Enter');
    }
    await exchange(page, 'And again').getByText('That was many messages within a minute').waitFor();
    await page.getByRole('button', { name: 'Discard' }).click();
    await expect.poll(() => page.getByRole('article').count()).toBe(1);
  });
});
