import type { Browser, BrowserContextOptions, Locator, Page, Route } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  axeFindings,
  browserAvailable,
  launchBrowser,
  openDevice,
  signInDevice,
} from '../kit/browser.ts';
import { type Client, send, signIn } from '../kit/client.ts';
import { seedMany } from '../kit/seed.ts';
import { startServer, type TestServer } from '../kit/server.ts';

const PHONE = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };
/** Two cores, and others beside. */
const SOON = { timeout: 15_000 };
const ZONE = 'America/New_York';
const BEGAN = Date.parse('2016-03-10T12:00:00Z');
const DAY_MS = 24 * 60 * 60 * 1000;

const monthOf = (instant: number) =>
  new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: ZONE }).format(
    instant,
  );

describe.runIf(browserAvailable)('the spine of a long conversation', () => {
  let server: TestServer;
  let browser: Browser;
  let writer: Client;
  const now = Date.now();

  beforeAll(async () => {
    server = await startServer();
    browser = await launchBrowser();
    writer = await signIn(server);
    await seedMany(server.database.ownerUrl, writer.userId, {
      count: 10_000,
      from: new Date(BEGAN),
      to: new Date(now),
    });
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  async function open(
    client: Client,
    options: BrowserContextOptions = {},
    prepare: (page: Page) => Promise<void> = async () => {},
    mayComplain?: RegExp,
  ): Promise<Page> {
    const device = await openDevice(browser, server, { timezoneId: ZONE, ...options }, mayComplain);
    await signInDevice(device, client);
    const page = await device.newPage();
    await prepare(page);
    await page.goto('/');
    return page;
  }

  const timeline = (page: Page) => page.getByRole('slider', { name: 'Timeline' });
  const value = (page: Page) => timeline(page).getAttribute('aria-valuetext');
  const says = (page: Page, text: string | RegExp) =>
    expect.poll(() => value(page), SOON).toMatch(text);

  /** The day stands at the top of what is visible. */
  async function reads(page: Page, day: string): Promise<void> {
    const heading = page.getByRole('heading', { name: day, exact: true });
    await heading.waitFor();
    await expect.poll(async () => (await heading.boundingBox())?.y, SOON).toBeLessThan(120);
  }

  async function centre(locator: Locator): Promise<{ x: number; y: number }> {
    const { x, y, width, height } = (await locator.boundingBox()) ?? expect.fail('not to be seen');
    return { x: x + width / 2, y: y + height / 2 };
  }

  /** Just below a year's name: its January. */
  async function januaryOf(page: Page, year: string): Promise<{ x: number; y: number }> {
    const { x, y } = await centre(timeline(page).getByText(year, { exact: true }));
    return { x: x + 30, y: y + 2 };
  }

  it.each(['light', 'dark'] as const)(
    'shows where one is, and goes to a year at a click, %s',
    async (colorScheme) => {
      const page = await open(writer, { colorScheme });
      await says(page, / messages$/);
      expect(await axeFindings(page)).toEqual([]);

      const january = await januaryOf(page, '2020');
      await page.mouse.move(january.x, january.y);
      await timeline(page)
        .getByText(/^January 2020, \d+ messages$/)
        .waitFor();
      await page.mouse.click(january.x, january.y);
      await reads(page, '1 January 2020');
      await page.mouse.move(400, 400);
      await says(page, /^January 2020, \d+ messages$/);

      await page.mouse.wheel(0, -2_000);
      await says(page, 'December 2019');
      expect(await axeFindings(page)).toEqual([]);
    },
  );

  it('goes by keys: a month, a year, to the beginning and back to now', async () => {
    const page = await open(writer);
    await timeline(page).focus();
    await page.keyboard.press('Home');
    await reads(page, '10 March 2016');
    await says(page, 'March 2016');
    await page.keyboard.press('PageDown');
    await says(page, 'March 2017');
    await page.keyboard.press('ArrowDown');
    await reads(page, '1 April 2017');
    await says(page, 'April 2017');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('PageUp');
    await says(page, 'March 2016');
    await page.keyboard.press('End');
    await page.getByText('Message number9999,').waitFor();
    await says(page, 'Now');
  });

  it('says at once what one drags over, and goes only to where one stops', async () => {
    const page = await open(writer);
    await timeline(page).waitFor();
    const jumps: string[] = [];
    page.on('request', (request) => {
      const from = request.postDataJSON()?.variables?.filter?.from;
      if (from) jumps.push(from);
    });
    const years = ['2025', '2023', '2021', '2019'];
    const start = await januaryOf(page, '2026');
    await page.mouse.move(start.x, start.y);
    await page.mouse.down();
    for (const year of years) {
      const { x, y } = await januaryOf(page, year);
      await page.mouse.move(x, y);
      await says(page, `January ${year}`);
    }
    await page.mouse.up();
    await reads(page, '1 January 2019');
    expect(new Set(jumps).size).toBeLessThanOrEqual(years.length + 1);
    expect(jumps.at(-1)).toBe('2019-01-01T05:00:00.000Z');
  });

  it('marks what a search has found', async () => {
    const page = await open(writer);
    await timeline(page).waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search for' }).waitFor();
    await page.keyboard.type('"number5000,"');
    // The answer to all of it: those before it find more, and mark less.
    const marked = () => page.getByRole('option').locator('mark').allInnerTexts();
    await expect.poll(marked).toEqual(['number5000,']);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByText('Message number5000,').waitFor();
    await timeline(page).focus();
    await says(page, new RegExp(`^${monthOf((BEGAN + now) / 2)}, \\d+ messages, 1 found$`));
    expect(await axeFindings(page)).toEqual([]);
  });

  it('comes up from below on a phone', async () => {
    const page = await open(writer, PHONE);
    const opener = page.getByRole('button', { name: 'Timeline' });
    await opener.tap();
    await timeline(page).waitFor();
    expect(await axeFindings(page)).toEqual([]);
    const january = await januaryOf(page, '2018');
    await page.touchscreen.tap(january.x, january.y);
    await reads(page, '1 January 2018');
    await says(page, 'January 2018');
    await page.getByRole('button', { name: 'Close' }).tap();
    await timeline(page).waitFor({ state: 'detached' });
    expect(await axeFindings(page)).toEqual([]);
  });

  it('stands beside the text on a narrow screen, and not on it', async () => {
    const page = await open(writer, { viewport: { width: 780, height: 700 } });
    const edge = (await timeline(page).boundingBox())?.x;
    for (const name of ['Reply to 9999.', 'Message number9999,']) {
      const { x, width } = (await page.getByText(name).boundingBox()) ?? expect.fail(name);
      expect(x + width).toBeLessThanOrEqual(edge ?? 0);
    }
  });

  it('shows days while the conversation is young', async () => {
    const young = await signIn(server);
    await seedMany(server.database.ownerUrl, young.userId, {
      count: 60,
      from: new Date(Date.now() - 20 * DAY_MS),
      to: new Date(),
    });
    const page = await open(young);
    await timeline(page).focus();
    await page.keyboard.press('Home');
    const first = new Intl.DateTimeFormat('en-GB', {
      dateStyle: 'long',
      timeZone: ZONE,
    });
    await says(page, `${first.format(Date.now() - 20 * DAY_MS)}, `);
  });

  it('counts what is said, a minute later at most', async () => {
    const young = await signIn(server);
    await seedMany(server.database.ownerUrl, young.userId, {
      count: 20,
      from: new Date(Date.now() - 5 * DAY_MS),
      to: new Date(Date.now() - 2 * DAY_MS),
    });
    await send(young, 'The first one today');
    const page = await open(young, {}, (opened) => opened.clock.install());
    await timeline(page).focus();
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowUp');
    await says(page, /, 1 message$/);
    await send(young, 'The second one today');
    await page.getByText('The second one today', { exact: true }).waitFor();
    await page.clock.fastForward('01:00');
    await says(page, /, 2 messages$/);
  });

  it('comes even if something is said while the numbers are on their way', async () => {
    const young = await signIn(server);
    await seedMany(server.database.ownerUrl, young.userId, {
      count: 20,
      from: new Date(Date.now() - 5 * DAY_MS),
      to: new Date(Date.now() - 2 * DAY_MS),
    });
    let hold: (route: Route) => void = () => {};
    const held = new Promise<Route>((resolve) => {
      hold = resolve;
    });
    const page = await open(young, {}, async (opened) => {
      await opened.route('**/graphql', async (route) => {
        if (route.request().postData()?.includes('moodTrend')) hold(route);
        else await route.continue();
      });
    });
    const trend = await held;
    await send(young, 'Said in between');
    await page.getByText('Said in between', { exact: true }).waitFor();
    await trend.continue();
    await timeline(page).waitFor();
  });

  it.each(['SpineEnds', 'SpineTrend'])(
    'comes when one is back, if %s could not be read',
    async (name) => {
      const asked: string[] = [];
      let isBack = false;
      let cut = async () => {};
      const prepare = async (opened: Page) => {
        await opened.routeWebSocket('**/graphql', (socket) => {
          socket.connectToServer();
          cut = () => socket.close({ code: 4499 });
        });
        await opened.route('**/graphql', async (route) => {
          if (!route.request().postData()?.includes(`query ${name}`)) return route.continue();
          asked.push(name);
          return isBack ? route.continue() : route.abort();
        });
      };
      const page = await open(writer, {}, prepare, /ERR_FAILED/);
      await page.getByText('Message number9999,').waitFor();
      await expect.poll(() => asked.length, SOON).toBeGreaterThan(0);
      isBack = true;
      await cut();
      await timeline(page).waitFor();
      // One more if the first failed before the socket was there.
      expect(asked.length).toBeLessThanOrEqual(3);
    },
  );

  it('stays away until there is something to find one’s way through', async () => {
    const newcomer = await signIn(server);
    const page = await open(newcomer);
    await page.getByRole('heading', { name: 'A conversation to keep' }).waitFor();
    await page.waitForLoadState('networkidle');
    expect(await timeline(page).count()).toBe(0);
  });
});
