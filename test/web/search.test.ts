import type { Browser, Page, Request } from 'playwright-core';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  axeFindings,
  browserAvailable,
  launchBrowser,
  openDevice,
  signInDevice,
} from '../kit/browser.ts';
import { type Any, type Client, SEARCH, send, signIn } from '../kit/client.ts';
import { seedAs, seededMessage, seedMany } from '../kit/seed.ts';
import { startServer, type TestServer } from '../kit/server.ts';

const SOON = { timeout: 20_000, interval: 20 };

describe.runIf(browserAvailable)('Searching', () => {
  let server: TestServer;
  let browser: Browser;
  let admin: postgres.Sql;
  let me: Client;

  beforeAll(async () => {
    server = await startServer();
    browser = await launchBrowser();
    admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
  });
  afterAll(async () => {
    await browser.close();
    await admin.end();
    await server.stop();
  });
  beforeEach(async () => {
    me = await signIn(server);
  });

  async function open(path = '/', options = {}, mayComplain?: RegExp): Promise<Page> {
    const device = await openDevice(
      browser,
      server,
      { timezoneId: 'Europe/Berlin', ...options },
      mayComplain,
    );
    await signInDevice(device, me);
    const page = await device.newPage();
    await page.goto(path);
    // What is under an open search is hidden from all but the eye.
    await page.getByRole('button', { name: 'Search', exact: true, includeHidden: true }).waitFor();
    return page;
  }

  const field = (page: Page) => page.getByRole('combobox', { name: 'Search for' });
  const hits = (page: Page) => page.getByRole('option');
  const chosen = (page: Page) => page.getByRole('option', { selected: true });
  const status = (page: Page, text: string | RegExp) =>
    page.getByRole('dialog').getByRole('status').filter({ hasText: text }).waitFor();
  /** Waits for the answer to what was typed to its end: those before it mark less. */
  const marked = (page: Page, ...words: string[]) =>
    expect.poll(() => chosen(page).locator('mark').allInnerTexts(), SOON).toEqual(words);
  const focused = (page: Page) =>
    page.evaluate(() => (document.activeElement as HTMLElement).dataset['id']);
  const query = (page: Page) => new URL(page.url()).searchParams;

  /** The queries of searches that the page asks for from now on, with the request that does. */
  function watch(page: Page): { query: string; request: Request }[] {
    const asked: { query: string; request: Request }[] = [];
    page.on('request', (request) => {
      if (request.postData()?.includes('searchChats'))
        asked.push({ query: request.postDataJSON().variables.query, request });
    });
    return asked;
  }

  it('finds a sentence as it is typed, chooses with the arrows and goes there, keyboard only', async () => {
    await send(me, 'The swallows are back from Africa');
    const wanted = await send(me, 'I saw two swallows over the barn');
    await send(me, 'Nothing but rain today');
    await send(me, 'One swallow makes no summer');
    const page = await open();

    await page.keyboard.press('Control+k');
    await field(page).waitFor();
    await page.keyboard.type('SWALLOW');
    await marked(page, 'swallow');
    await status(page, '3 passages');
    expect(query(page).get('q')).toBe('SWALLOW');
    expect(await chosen(page).innerText()).toContain('One swallow makes no summer');

    await page.keyboard.press('ArrowDown');
    expect(await chosen(page).innerText()).toContain('over the barn');
    const active = await field(page).getAttribute('aria-activedescendant');
    expect(await chosen(page).getAttribute('id')).toBe(active);
    await page.keyboard.press('Enter');

    await page.waitForURL(`**/m/${wanted.id}`);
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(query(page).has('q')).toBe(false);
    await expect.poll(() => focused(page), SOON).toBe(wanted.id);

    await page.keyboard.press('Control+k');
    await status(page, '3 passages');
    expect(await field(page).inputValue()).toBe('SWALLOW');
  });

  it('goes to a passage among its neighbours, to the same one again, and back to what was found', async () => {
    await seedMany(server.database.ownerUrl, me.userId, {
      count: 2_000,
      from: new Date('2020-01-01'),
      to: new Date('2026-01-01'),
    });
    const page = await open();
    const inView = (n: number) =>
      page
        .getByText(seededMessage(n), { exact: true })
        .evaluate((element) => {
          const { top, bottom } = element.getBoundingClientRect();
          return top >= 0 && bottom <= window.innerHeight;
        })
        .catch(() => false);
    await page.keyboard.press('Control+k');
    await field(page).waitFor();
    await page.keyboard.type('"number700,"');
    await marked(page, 'number700,');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/m/*');
    const wanted = new URL(page.url()).pathname.slice('/m/'.length);
    await expect.poll(() => focused(page), SOON).toBe(wanted);
    await expect.poll(() => inView(700), SOON).toBe(true);
    await page.getByText(seededMessage(701), { exact: true }).waitFor();

    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('Home');
    await expect.poll(() => inView(700), SOON).toBe(false);
    await page.keyboard.press('Control+k');
    await status(page, '1 passage');
    await page.keyboard.press('Enter');
    await expect.poll(() => inView(700), SOON).toBe(true);
    await expect.poll(() => focused(page), SOON).toBe(wanted);

    await page.goBack();
    await status(page, '1 passage');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  it('asks once for what was typed in one go, and never shows an older answer over a newer one', async () => {
    await send(me, 'apples in the cellar');
    await send(me, 'a pear in the garden');
    const page = await open();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route('**/graphql', async (route) => {
      if (route.request().postDataJSON()?.variables?.query === 'apples') await held;
      // A request that was cancelled meanwhile cannot go on.
      await route.continue().catch(() => {});
    });
    const asked = watch(page);

    await page.keyboard.press('Control+k');
    await field(page).waitFor();
    // From here on the page's clock stands still but for what the test says.
    await page.clock.install({ time: Date.now() });
    await page.clock.pauseAt(Date.now() + 60_000);
    await page.keyboard.type('apples');
    await page.clock.runFor(140);
    expect(asked).toEqual([]);
    const first = page.waitForRequest((request) => request.postData()?.includes('apples') ?? false);
    await page.clock.runFor(10);
    await first;
    const cancelled = page.waitForEvent('requestfailed');
    await page.keyboard.press('Control+a');
    await page.keyboard.type('pear');
    await page.clock.runFor(150);
    await status(page, '1 passage');
    expect((await cancelled).postDataJSON().variables.query).toBe('apples');
    release();
    expect(await hits(page).allInnerTexts()).toEqual([expect.stringContaining('in the garden')]);
    expect(asked.map(({ query }) => query)).toEqual(['apples', 'pear']);
  });

  it('is left with Escape to where one was: the words, the caret and every pixel', async () => {
    for (let n = 1; n <= 12; n += 1) await send(me, `Note ${n} about a long walk`);
    const page = await open();
    await page.getByText('Note 12 about a long walk').waitFor();
    const composer = page.getByRole('textbox').first();
    await composer.fill('half a thought');
    await composer.evaluate((element: HTMLTextAreaElement) => element.setSelectionRange(4, 4));
    const before = await page.screenshot({ caret: 'hide', animations: 'disabled' });

    await page.keyboard.press('Control+k');
    await field(page).waitFor();
    await page.keyboard.type('walk');
    await marked(page, 'walk');
    await status(page, '12 passages');
    await page.mouse.wheel(0, 400);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.waitForURL((url) => url.search === '');
    await expect
      .poll(() => composer.evaluate((element) => element === document.activeElement), SOON)
      .toBe(true);
    const after = await page.screenshot({ caret: 'hide', animations: 'disabled' });
    expect(after.equals(before)).toBe(true);
    await page.keyboard.type('!');
    expect(await composer.inputValue()).toBe('half! a thought');
  });

  it('is narrowed by days and mood, which the URL keeps over a reload', async () => {
    await seedAs(admin, me, [
      { message: 'Picnic in a winter', created_at: '2025-12-31T22:59:00Z', mood: 'POSITIVE' },
      { message: 'Picnic at new year', created_at: '2025-12-31T23:00:00Z', mood: 'POSITIVE' },
      { message: 'Picnic in the rain', created_at: '2026-04-30T21:59:00Z', mood: 'NEGATIVE' },
      { message: 'Picnic in May', created_at: '2026-04-30T22:00:00Z', mood: 'POSITIVE' },
    ]);
    const page = await open('/?q=picnic');
    await status(page, '4 passages');
    await page.getByRole('button', { name: 'Days: Any time' }).press('Enter');
    await page.getByLabel('From').fill('2026-01-01');
    await page.getByLabel('To').fill('2026-04-30');
    await status(page, '2 passages');
    await page.getByRole('button', { name: 'Positive' }).press('Space');
    await status(page, '1 passage');
    expect(await hits(page).innerText()).toContain('Picnic at new year');

    await page.keyboard.press('Escape');
    expect(await page.getByLabel('From').isVisible()).toBe(false);
    expect(await page.getByRole('dialog').isVisible()).toBe(true);

    await page.reload();
    await status(page, '1 passage');
    await page.getByRole('button', { name: /Days: 1 Jan.*30 Apr 2026/ }).waitFor();
    await page.getByRole('button', { name: 'Positive', pressed: true }).waitFor();

    await field(page).fill('picnic snow');
    await status(page, 'Nothing was found for “picnic snow”.');
    await page.getByRole('button', { name: 'Search all days and moods' }).press('Enter');
    await field(page).fill('picnic');
    await status(page, '4 passages');
  });

  it('brings more as its end comes near, down to the oldest', async () => {
    await seedAs(
      admin,
      me,
      Array.from({ length: 70 }, (_, n) => ({
        message: `Letter ${n} to Ada`,
        created_at: new Date(Date.UTC(2025, 0, 1 + n)).toISOString(),
      })),
    );
    const page = await open();
    await page.keyboard.press('Meta+k');
    await field(page).waitFor();
    await page.keyboard.type('letter ada');
    await marked(page, 'Letter', 'Ada');
    await status(page, 'The newest 20 passages, more below');
    for (let n = 0; n < 14; n += 1) {
      await page.keyboard.press('PageDown');
      await hits(page)
        .nth(Math.min(5 * (n + 2), 69))
        .waitFor();
    }
    await status(page, '70 passages');
    expect(await chosen(page).innerText()).toContain('Letter 0 to Ada');
    expect(await chosen(page).isVisible()).toBe(true);
  });

  it('shows the words around what was found, marked where the server says, in a reply too', async () => {
    const before = '🎈 lorem ipsum '.repeat(60);
    await seedAs(admin, me, [
      { message: `${before}İstanbul ferry`, response: `${before}the **ferry** left 🎈 early ` },
    ]);
    const { searchChats } = await me.data<Any>(SEARCH, { query: 'ferry left' });
    expect(searchChats.edges).toHaveLength(1);
    const page = await open('/?q=ferry+left');
    await status(page, '1 passage');
    expect(await hits(page).locator('mark').allInnerTexts()).toEqual(['ferry', 'left']);
    const text = await hits(page).innerText();
    expect(text).toMatch(/You:\s+🎈 lorem ipsum/);
    expect(text).toMatch(/Reply:\s+… .*the ferry left 🎈 early$/);
    expect(text).not.toMatch(/\*|\ufffd/);
    expect(text.length).toBeLessThan(500);
    await field(page).fill('istanbul ferry from:me');
    await marked(page, 'İstanbul', 'ferry');
    expect(await hits(page).innerText()).not.toContain('Reply');
  });

  it('shows what it has understood, and takes a part of it out by key or by mouse', async () => {
    await seedAs(admin, me, [
      { message: 'Picnic in the rain', created_at: '2025-06-30T12:00:00Z', mood: 'POSITIVE' },
      { message: 'Picnic in the sun', created_at: '2025-06-01T12:00:00Z', mood: 'POSITIVE' },
      { message: 'Picnic on the ice', created_at: '2025-12-01T12:00:00Z', mood: 'POSITIVE' },
      { message: 'A talk', response: 'of a picnic', created_at: '2025-06-02T12:00:00Z' },
    ]);
    const page = await open();
    const chips = page.getByRole('list', { name: 'Understood as' });
    const texts = () => chips.getByRole('listitem').locator('span').allInnerTexts();
    await page.keyboard.press('Control+k');
    await field(page).waitFor();
    await page.keyboard.type('picnic');
    await status(page, '4 passages');
    expect(await chips.count()).toBe(0);
    await page.keyboard.type(' -rain from:me mood:positive on:2025-6');
    await status(page, '1 passage');
    expect(await texts()).toEqual([
      'picnic',
      'without rain',
      'in your words',
      'positive',
      'in June 2025',
    ]);

    await page.getByRole('button', { name: 'Take out: without rain' }).press('Enter');
    await status(page, '2 passages');
    expect(await field(page).inputValue()).toBe('picnic from:me mood:positive on:2025-6');
    expect(await field(page).evaluate((input) => input === document.activeElement)).toBe(true);
    await page.getByRole('button', { name: 'Take out: in June 2025' }).click();
    await status(page, '3 passages');
    expect(query(page).get('q')).toBe('picnic from:me mood:positive');
    await page.getByRole('button', { name: 'Neutral' }).click();
    await status(page, 'Nothing was found');

    await field(page).fill('before:soon');
    await expect.poll(texts, SOON).toEqual(['before:soon']);
  });

  it('says that it found near spellings alone, and marks them', async () => {
    await send(me, 'Two swallows over the barn');
    const page = await open('/?q=swallws');
    await status(page, 'Nothing with “swallws” exactly. Near spellings:');
    await marked(page, 'swallows');
    await field(page).fill('swallows');
    await status(page, '1 passage');
  });

  it('says what can be written, and writes it', async () => {
    await send(me, 'A quiet evening');
    const page = await open('/?q=');
    await page.getByRole('button', { name: 'from:me in what you wrote' }).press('Enter');
    expect(await field(page).inputValue()).toBe('from:me');
    await status(page, '1 passage');
    await page.keyboard.type(' evening');
    await marked(page, 'evening');
    expect(await page.getByRole('button', { name: /^-word/ }).isVisible()).toBe(false);
    await page.getByText('What can be written here').click();
    await page.getByRole('button', { name: /^-word/ }).click();
    await status(page, '1 passage');
    expect(await field(page).inputValue()).toBe('from:me evening -word');
  });

  it('says in words that there was no answer, and tries again', async () => {
    await send(me, 'The tide table hangs in the kitchen');
    const page = await open('/', {}, /ERR_INTERNET_DISCONNECTED/);
    await page.keyboard.press('Control+k');
    await field(page).waitFor();
    await page.context().setOffline(true);
    await page.keyboard.type('tide');
    await page.getByRole('alert').filter({ hasText: 'The search got no answer.' }).waitFor();
    await page.context().setOffline(false);
    await page.getByRole('button', { name: 'Try again' }).press('Enter');
    await status(page, '1 passage');
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`has nothing that axe would find, ${colorScheme}`, async () => {
      await send(me, 'A quiet evening with the cello');
      const page = await open('/', { colorScheme, reducedMotion: 'reduce' });
      await page.getByRole('button', { name: 'Search', exact: true }).click();
      await field(page).waitFor();
      expect(await axeFindings(page)).toEqual([]);
      await page.getByRole('button', { name: 'Days: Any time' }).click();
      await field(page).fill('cello -rain before:2100');
      await status(page, '1 passage');
      await page.getByRole('button', { name: /^Take out: before/ }).waitFor();
      await page.getByRole('button', { name: 'Neutral' }).hover();
      expect(await axeFindings(page)).toEqual([]);
      await field(page).fill('cellos');
      await status(page, 'Near spellings');
      expect(await axeFindings(page)).toEqual([]);
      await field(page).fill('violins');
      await status(page, 'Nothing was found');
      expect(await axeFindings(page)).toEqual([]);
    });
  }

  it('fits a phone', async () => {
    await send(me, `${'long'.repeat(40)} cello`);
    const path = `/?q=cello+-${'long'.repeat(20)}x+before:2100`;
    const page = await open(path, { viewport: { width: 320, height: 640 } });
    await status(page, '1 passage');
    await page.getByText('What can be written here').click();
    await page.getByRole('button', { name: 'Days: Any time' }).click();
    const widths = await page.evaluate(() =>
      [...document.querySelectorAll('[role=dialog], [role=dialog] *:not(.only-read-aloud)')].map(
        (element) => element.getBoundingClientRect().right,
      ),
    );
    expect(Math.max(...widths)).toBeLessThanOrEqual(320);
  });
});
