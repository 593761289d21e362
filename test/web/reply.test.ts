import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  axeFindings,
  browserAvailable,
  launchBrowser,
  openDevice,
  signInDevice,
} from '../kit/browser.ts';
import { type Any, type Client, HISTORY, send, signIn } from '../kit/client.ts';
import { type GeminiServer, startGeminiServer } from '../kit/gemini-server.ts';
import { startServer, type TestServer } from '../kit/server.ts';

describe.runIf(browserAvailable)('The reply', () => {
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

  async function openPage(options = {}): Promise<Page> {
    const device = await openDevice(browser, server, options);
    await signInDevice(device, user);
    const page = await device.newPage();
    await page.goto('/');
    await page.getByRole('textbox', { name: 'Message' }).waitFor();
    return page;
  }

  async function write(page: Page, text: string): Promise<void> {
    await page.getByRole('textbox', { name: 'Message' }).fill(text);
    await page.keyboard.press('Enter');
  }

  const article = (page: Page) => page.getByRole('article');
  const button = (page: Page, name: string) => article(page).getByRole('button', { name });
  const statuses = async () =>
    ((await user.data<Any>(HISTORY)).chatHistory.nodes as { status: string }[]).map(
      ({ status }) => status,
    );

  it('appears word by word, and goes on after a reload in the middle', async () => {
    const [second, third] = [gemini.gate(), gemini.gate()];
    const chunks = [
      'It was **a dark',
      { text: ' and stormy** night', after: second.promise },
      { text: '; the rain fell.', after: third.promise },
    ];
    const start = gemini.gate();
    gemini.script({ before: start.promise, chunks });
    const page = await openPage();
    await write(page, 'Tell me a story');
    await article(page).getByText('Thinking').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    start.open();
    // What is begun looks as it will, and has no marks on show.
    await article(page).getByText('It was a dark', { exact: true }).waitFor();
    expect(await page.locator('strong').innerText()).toBe('a dark');
    expect(await axeFindings(page)).toEqual([]);
    await page.reload();
    await article(page).getByText('It was a dark', { exact: true }).waitFor();
    second.open();
    await article(page).getByText('It was a dark and stormy night', { exact: true }).waitFor();
    third.open();
    await article(page).getByText('stormy night; the rain fell.').waitFor();
    await expect.poll(() => page.locator('[aria-busy="true"]').count()).toBe(0);
    expect(await page.locator('strong').innerText()).toBe('a dark and stormy');
  });

  it('does not draw again what stands already while it grows', async () => {
    const rest = gemini.gate();
    gemini.script({
      chunks: ['# Title\n\nFirst.\n\nSec', { text: 'ond.\n\nThird.', after: rest.promise }],
    });
    const page = await openPage();
    await write(page, 'Go on');
    await article(page).getByText('Sec', { exact: true }).waitFor();
    await page.evaluate(() => {
      for (const element of document.querySelectorAll('.markdown > *')) {
        element.setAttribute('data-seen', '');
      }
    });
    rest.open();
    await article(page).getByText('Third.').waitFor();
    const seen = await page
      .locator('.markdown > *')
      .evaluateAll((all) => all.map((element) => element.hasAttribute('data-seen')));
    expect(seen).toEqual([true, true, true, false]);
  });

  it('is read aloud once, when it is all there', async () => {
    const page = await openPage();
    await page.evaluate(() => {
      const said: string[] = [];
      Object.assign(window, { said });
      const log = document.querySelector('[role="log"]') as Element;
      new MutationObserver(() => log.textContent && said.push(log.textContent)).observe(log, {
        subtree: true,
        childList: true,
        characterData: true,
      });
    });
    const rest = gemini.gate();
    gemini.script({ chunks: ['One **bold**', ' word'], afterFirst: rest.promise });
    await write(page, 'Speak');
    await article(page).getByText('One bold', { exact: true }).waitFor();
    rest.open();
    const said = () => page.evaluate(() => (window as unknown as { said: string[] }).said);
    await expect.poll(said).toEqual(['Reply: One bold word']);
  });

  it('can be stopped from the composer, and written anew', async () => {
    gemini.script({ chunks: ['Never', ' ending'], end: 'stall' }, { chunks: ['Ended well'] });
    const page = await openPage();
    await write(page, 'Go on for ever');
    await article(page).getByText('Never ending').waitFor();
    await page.getByRole('button', { name: 'Stop', exact: true }).last().click();
    await article(page).getByText('You stopped this reply.').waitFor();
    expect(await statuses()).toEqual(['STOPPED']);
    expect(await page.getByRole('button', { name: 'Stop' }).count()).toBe(0);
    await button(page, 'Retry').click();
    await article(page).getByText('Ended well').waitFor();
    await expect.poll(() => button(page, 'Retry').count()).toBe(0);
    expect(await statuses()).toEqual(['COMPLETE']);
  });

  it('says that it failed and why, and is there after a retry', async () => {
    gemini.script({ status: 403 }, { chunks: ['Here I am'] });
    const page = await openPage();
    await write(page, 'Are you there?');
    await article(page).getByText('The model did not answer.').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    await button(page, 'Retry').click();
    await article(page).getByText('Here I am').waitFor();
    await expect.poll(() => article(page).getByText('did not answer').count()).toBe(0);
  });

  it('says that it was cut where the model could write no more', async () => {
    gemini.script({ chunks: ['So much'], end: 'MAX_TOKENS' });
    await send(user, 'Write all you can');
    const page = await openPage();
    await article(page).getByText('The reply reached the longest the model can write.').waitFor();
    expect(await button(page, 'Retry').count()).toBe(0);
  });

  it('has code that can be taken along, tables that scroll in themselves, and math as text', async () => {
    const code = 'const a = `1`;\n\nif (a < 2) go();\n';
    const wide = `| ${'A wide column | '.repeat(12)}\n|${' --- |'.repeat(12)}\n| ${'cell | '.repeat(12)}`;
    const answer = `\`\`\`ts\n${code}\`\`\`\n\n${wide}\n\nLet $a_1 * b_1$ be.`;
    gemini.script({ chunks: [answer] });
    await send(user, 'Show me');
    const page = await openPage({
      viewport: { width: 320, height: 800 },
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    await article(page).getByText('Let $a_1 * b_1$ be.').waitFor();
    await article(page).getByText('ts', { exact: true }).waitFor();
    await button(page, 'Copy code').click();
    await button(page, 'Copied').waitFor();
    expect(await clipboard()).toBe(code);
    await button(page, 'Copy reply').focus();
    await page.keyboard.press('Enter');
    await expect.poll(clipboard).toBe(answer);
    const table = page.getByRole('region', { name: 'Table' });
    expect(await table.evaluate((it) => it.scrollWidth > it.clientWidth)).toBe(true);
    const isTooWide = () =>
      page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    expect(await isTooWide()).toBe(false);
    expect(await axeFindings(page)).toEqual([]);
  });

  it('lets an exchange be copied, linked to, and deleted after a question, by keyboard alone', async () => {
    const { id } = await send(user, 'Hold on\nto this');
    const page = await openPage({ permissions: ['clipboard-read', 'clipboard-write'] });
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    const press = async (name: string) => {
      await button(page, name).focus();
      await page.keyboard.press('Enter');
    };
    await press('Copy message');
    await expect.poll(clipboard).toBe('Hold on\nto this');
    await press('Copy link');
    await expect.poll(clipboard).toBe(`${server.url}/m/${id}`);
    await press('Delete');
    await article(page).getByText('Delete this message and its reply for good?').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await article(page).getByText('for good?').waitFor({ state: 'detached' });
    await press('Delete');
    await press('Delete for good');
    await article(page).waitFor({ state: 'detached' });
    expect(await statuses()).toEqual([]);
    const focused = () => page.evaluate(() => document.activeElement?.id);
    await expect.poll(focused).toBe('composer');
  });

  it('shows what can be done at a long press on a touch screen, and hides it at a touch elsewhere', async () => {
    await send(user, 'Press me');
    const page = await openPage({
      hasTouch: true,
      isMobile: true,
      viewport: { width: 360, height: 700 },
    });
    const said = article(page).getByText('Press me', { exact: true });
    await said.waitFor();
    const opacity = () =>
      button(page, 'Copy message').evaluate((element) => getComputedStyle(element).opacity);
    expect(await opacity()).toBe('0');
    await said.dispatchEvent('pointerdown', { pointerType: 'touch', isPrimary: true });
    await expect.poll(opacity).toBe('1');
    await page.getByRole('textbox', { name: 'Message' }).tap();
    await expect.poll(opacity).toBe('0');
  });

  it('marks what went along with personality, and shows it on demand', async () => {
    await send(user, 'As I am', { personalityContext: { tone: 'quiet' } });
    await send(user, 'As anybody');
    const page = await openPage();
    const mark = button(page, 'With personality');
    await mark.click();
    await page.getByText('"tone": "quiet"').waitFor();
    expect(await mark.count()).toBe(1);
    expect(await axeFindings(page)).toEqual([]);
  });
});
