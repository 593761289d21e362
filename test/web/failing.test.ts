import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { axeFindings, browserAvailable, launchBrowser, openDevice } from '../kit/browser.ts';
import { startServer, type TestServer } from '../kit/server.ts';

/** What Chromium and React say of what this test breaks. */
const BROKEN = /^(Failed to load resource|Failed to fetch dynamically|%o|Error: broken)/;

describe.runIf(browserAvailable)('a page of which a part fails', () => {
  let browser: Browser;
  let server: TestServer;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchBrowser(), startServer()]);
  });
  afterAll(() => Promise.all([browser.close(), server.stop()]));

  /** Of whose parts those are not to be had that the expression matches. */
  async function openWithout(part: RegExp): Promise<Page> {
    // What a worker fetches, no test can keep from it.
    const device = await openDevice(browser, server, { serviceWorkers: 'block' }, BROKEN);
    const page = await device.newPage();
    await page.route(part, (route) => route.abort());
    await page.goto('/');
    await page.getByRole('textbox').waitFor();
    return page;
  }

  it.each([
    ['the search', /dialog-.*\.js$/, 'Search', 'The search could not be loaded.'],
    ['the panel', /panel-.*\.js$/, 'This conversation', 'This part could not be loaded.'],
    [
      'the personality',
      /personality-.*\.js$/,
      'Personality',
      'The personality could not be loaded.',
    ],
  ])('says so of %s, and goes on', async (_what, part, button, words) => {
    const page = await openWithout(part);
    await page.getByRole('button', { name: button, exact: true }).click();
    const alert = page.getByRole('alert');
    await alert.getByText(words).waitFor();
    expect(await axeFindings(page)).toEqual([]);
    await page.getByRole('textbox', { name: 'Message' }).fill('It goes on');
    await page.keyboard.press('Enter');
    await page.getByText('It goes on', { exact: true }).waitFor();

    await page.unrouteAll();
    await alert.getByRole('button', { name: 'Load the page again' }).click();
    await page.getByText('It goes on', { exact: true }).waitFor();
    await alert.waitFor({ state: 'detached' });
  });

  it('leaves the timeline out', async () => {
    const page = await openWithout(/timeline-.*\.js$/);
    await page.getByRole('textbox', { name: 'Message' }).fill('Without a timeline');
    await page.keyboard.press('Enter');
    await page.getByText('Without a timeline', { exact: true }).waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
  });

  it('has words and a way on when nothing is left', async () => {
    const device = await openDevice(browser, server, { serviceWorkers: 'block' }, BROKEN);
    const page = await device.newPage();
    await page.addInitScript(() => {
      // The empty page has words for the time of day.
      Date.prototype.getHours = () => {
        throw new Error('broken');
      };
    });
    await page.goto('/');
    await page.getByRole('alert').getByText('Something on this page has failed.').waitFor();
    await page.getByRole('button', { name: 'Load the page again' }).waitFor();
  });
});
