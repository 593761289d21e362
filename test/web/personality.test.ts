import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  axeFindings,
  browserAvailable,
  launchBrowser,
  openDevice,
  signInDevice,
} from '../kit/browser.ts';
import { type Any, type Client, HISTORY, send, signIn } from '../kit/client.ts';
import { startServer, type TestServer } from '../kit/server.ts';

const SET = 'mutation ($personality: JSON) { setPersonality(personality: $personality) { id } }';

describe.runIf(browserAvailable)('The personality', () => {
  let browser: Browser;
  let server: TestServer;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchBrowser(), startServer()]);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  const personalityOf = async (me: Client) =>
    (await me.data<Any>('{ viewer { personality } }')).viewer.personality;

  const name = (page: Page) => page.getByRole('textbox', { name: 'Name to call you' });
  const tone = (page: Page) => page.getByRole('textbox', { name: 'How should I talk?' });
  const json = (page: Page) => page.getByRole('textbox', { name: 'As JSON' });
  const press = (page: Page, button: string) =>
    page.getByRole('button', { name: button, exact: true }).click();

  /** A guest with this personality, and the guest's page with the dialog open. */
  async function open(personality: object | null = null, options: BrowserContextOptions = {}) {
    const me = await signIn(server);
    await me.data(SET, { personality });
    const device = await openDevice(browser, server, options, /status of 400/);
    await signInDevice(device, me);
    const page = await device.newPage();
    await page.goto('/');
    await press(page, 'Personality');
    await name(page).waitFor();
    return { me, page };
  }

  it('is asked for in questions, and goes along with the next message', async () => {
    const { me, page } = await open();
    await page.getByText('goes along with every message').waitFor();
    await tone(page).fill('plainly');
    await name(page).fill('Ada');
    await name(page).press('Enter');
    await page.getByText('Saved.').waitFor();
    expect(await personalityOf(me)).toEqual({ tone: 'plainly', name: 'Ada' });
    // Enter in the dialog is no message: the composer stands around it.
    expect((await me.data<Any>(HISTORY)).chatHistory.nodes).toEqual([]);
    const { personalityContext } = await send(me, 'hello');
    expect(personalityContext).toEqual({ tone: 'plainly', name: 'Ada' });

    await page.keyboard.press('Escape');
    await page.reload();
    await press(page, 'Personality');
    await expect.poll(() => tone(page).inputValue()).toBe('plainly');
  });

  it('keeps what was set in other ways', async () => {
    const others = { zodiac: { sign: 'owl' }, about: ['a list'], لغة: 'العربية' };
    const { me, page } = await open({ tone: 'calm', ...others });
    await tone(page).fill('');
    await name(page).fill('Grace');
    await press(page, 'Save');
    await page.getByText('Saved.').waitFor();
    expect(await personalityOf(me)).toEqual({ ...others, name: 'Grace' });
    await page.getByText('zodiac and لغة go along too').waitFor();
  });

  it('can be written as JSON, with errors in words', async () => {
    const { me, page } = await open({ tone: 'calm' });
    await press(page, 'Edit as JSON');
    expect(JSON.parse(await json(page).inputValue())).toEqual({ tone: 'calm' });
    const wrong: Record<string, RegExp> = {
      '{ "tone": ': /This is not JSON yet\. .+/,
      '["calm"]': /It has to be an object/,
      [JSON.stringify({ about: 'ä'.repeat(9_000) })]: /17\.6 KiB, and at most 16 KiB/,
    };
    for (const [text, words] of Object.entries(wrong)) {
      await json(page).fill(text);
      await press(page, 'Save');
      await page.getByRole('alert').filter({ hasText: words }).waitFor();
      expect(await json(page).getAttribute('aria-invalid')).toBe('true');
    }
    await press(page, 'Back to the questions');
    expect(await json(page).isVisible()).toBe(true);
    // The server's own words for what only it checks.
    await json(page).fill(`${'{"a":'.repeat(70)}1${'}'.repeat(70)}`);
    await press(page, 'Save');
    await page.getByText('is nested more than').waitFor();
    expect(await personalityOf(me)).toEqual({ tone: 'calm' });

    await json(page).fill('{ "tone": "warm", "languages": ["de", "en"] }');
    await press(page, 'Back to the questions');
    expect(await tone(page).inputValue()).toBe('warm');
    await press(page, 'Save');
    await page.getByText('Saved.').waitFor();
    expect(await personalityOf(me)).toEqual({ tone: 'warm', languages: ['de', 'en'] });
  });

  it('can be cleared, and put back', async () => {
    const { me, page } = await open({ tone: 'calm', name: 'Ada' });
    await press(page, 'Clear');
    await page.getByText('Nothing goes along any more').waitFor();
    expect(await personalityOf(me)).toBeNull();
    expect(await tone(page).inputValue()).toBe('');
    await press(page, 'Put it back');
    await page.getByText('goes along again').waitFor();
    expect(await personalityOf(me)).toEqual({ tone: 'calm', name: 'Ada' });
    expect(await tone(page).inputValue()).toBe('calm');
  });

  it.each([
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['on a phone', { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true }],
  ] as const)('is accessible %s', async (_, options) => {
    const { page } = await open({ tone: 'calm', zodiac: 'owl' }, options);
    expect(await axeFindings(page)).toEqual([]);
    await press(page, 'Edit as JSON');
    await json(page).fill('[]');
    await press(page, 'Save');
    await page.getByText('It has to be an object').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    const wider = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(wider).toBe(0);
    await page.keyboard.press('Escape');
    const entry = page.getByRole('button', { name: 'Personality', exact: true });
    await expect
      .poll(() => entry.evaluate((button) => button === document.activeElement))
      .toBe(true);
  });
});
