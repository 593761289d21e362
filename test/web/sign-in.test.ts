import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { axeFindings, browserAvailable, launchBrowser, openDevice } from '../kit/browser.ts';
import { type Client, clientOf, send } from '../kit/client.ts';
import { startServer, startServerForTest, type TestServer } from '../kit/server.ts';
import { type Mail, type SupabaseServer, startSupabaseServer } from '../kit/supabase-server.ts';

/** Close codes of the page's WebSockets, as a script before all others writes them down. */
declare global {
  var closeCodes: number[];
}

describe.runIf(browserAvailable)("Signing in with Supabase's e-mail", () => {
  let browser: Browser;
  let supabase: SupabaseServer;
  let server: TestServer;
  /** Requests to Supabase are no complaint, and neither is what the console says of a refused one. */
  let expected: RegExp;

  beforeAll(async () => {
    supabase = await startSupabaseServer();
    const env = { SUPABASE_URL: supabase.url, SUPABASE_ANON_KEY: supabase.key };
    [browser, server] = await Promise.all([launchBrowser(), startServer({ env })]);
    expected = new RegExp(`^asked for ${supabase.url}/auth/v1/|status of 40[013]|status of 503`);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
    supabase.stop();
  });
  beforeEach(() => {
    supabase.tokenSeconds = 3600;
    supabase.away = false;
  });

  const composer = (page: Page) => page.getByRole('textbox', { name: 'Message' });
  const address = (page: Page) => page.getByRole('textbox', { name: 'Your e-mail address' });
  const code = (page: Page) => page.getByRole('textbox', { name: 'The code of the mail' });
  const signInButton = (page: Page) => page.getByRole('button', { name: 'Sign in', exact: true });

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const device = await openDevice(browser, server, options, expected);
    const page = await device.newPage();
    await page.goto('/');
    return page;
  }

  async function askForMail(page: Page, email: string): Promise<Mail> {
    await address(page).fill(email);
    await address(page).press('Enter');
    await page.getByText('Look into your mail').waitFor();
    const mail = supabase.mails.at(-1);
    expect(mail?.to).toBe(email);
    return mail as Mail;
  }

  async function signIn(page: Page, email: string): Promise<Client> {
    const mail = await askForMail(page, email);
    await code(page).fill(mail.code);
    await code(page).press('Enter');
    await composer(page).waitFor();
    return clientOf(server, await supabase.tokenFor(email, 3600));
  }

  const panel = (page: Page) => page.getByRole('button', { name: 'This conversation' }).click();

  it('takes the code of a mail, and stays signed in after a reload', async () => {
    const page = await open();
    await address(page).waitFor();
    expect(await axeFindings(page)).toEqual([]);
    const me = await signIn(page, 'ada@example.org');
    await send(me, 'hello from Ada');
    await page.getByText('hello from Ada', { exact: true }).waitFor();
    await page.reload();
    await page.getByText('hello from Ada', { exact: true }).waitFor();
    await panel(page);
    await page.getByText('You are signed in as ada@example.org').waitFor();
    expect(await page.getByText('Another device').count()).toBe(0);
  });

  it('takes the link of a mail, whose tokens do not stay in the address', async () => {
    const page = await open();
    const { link } = await askForMail(page, 'grace@example.org');
    await page.goto(link);
    await composer(page).waitFor();
    expect(page.url()).toBe(`${server.url}/`);
    await page.goBack();
    await composer(page).waitFor();
    expect(page.url()).not.toContain('token');

    const other = await open();
    await other.goto(link);
    await other.getByText('That link does not work any more').waitFor();
    expect(other.url()).toBe(`${server.url}/`);
  });

  it('says at the field what is wrong, by keyboard alone', async () => {
    const page = await open({ viewport: { width: 320, height: 640 }, colorScheme: 'dark' });
    await address(page).fill('nobody');
    await address(page).press('Enter');
    await page.getByText('Write your e-mail address, such as').waitFor();
    expect(await address(page).evaluate((field) => field === document.activeElement)).toBe(true);
    expect(await axeFindings(page)).toEqual([]);

    await askForMail(page, 'alan@example.org');
    await page.keyboard.type('000000');
    await page.keyboard.press('Enter');
    await page.getByText('This code is not right, or too old').waitFor();
    expect(await code(page).getAttribute('aria-invalid')).toBe('true');
    expect(await axeFindings(page)).toEqual([]);

    supabase.away = true;
    await signInButton(page).click();
    await page.getByText('The sign-in service does not answer').waitFor();
  });

  it('signs out of this device, and says why when somebody else ended the session', async () => {
    const page = await open();
    await signIn(page, 'mary@example.org');
    await panel(page);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await address(page).waitFor();
    expect(await page.getByText('You were signed out here').count()).toBe(0);

    supabase.tokenSeconds = 3;
    await signIn(page, 'mary@example.org');
    supabase.revoke();
    await page.getByText('You were signed out here').waitFor();
  });

  it('goes on with a new token when one runs out: nothing is missing, nothing doubled', async () => {
    supabase.tokenSeconds = 3;
    const device = await openDevice(browser, server, {}, expected);
    await device.addInitScript(() => {
      globalThis.closeCodes = [];
      globalThis.WebSocket = class extends WebSocket {
        constructor(...args: ConstructorParameters<typeof WebSocket>) {
          super(...args);
          this.addEventListener('close', ({ code }) => globalThis.closeCodes.push(code));
        }
      };
    });
    const page = await device.newPage();
    await page.goto('/');
    const me = await signIn(page, 'edsger@example.org');
    const before = supabase.refreshes;
    const refused = () =>
      page.evaluate(() => globalThis.closeCodes.filter((code) => code === 4403).length);
    const written: string[] = [];
    while ((await refused()) < 2) {
      written.push(`message ${written.length}.`);
      await send(me, written.at(-1) as string);
    }
    written.push('the last one.');
    await send(me, 'the last one.');
    await page.getByText('the last one.', { exact: true }).waitFor();
    expect(supabase.refreshes).toBeGreaterThan(before);
    const newest = page.getByText(/^(message \d+|the last one)\.$/);
    const shown = await newest.allTextContents();
    expect(shown).toEqual(written.slice(-shown.length));
    expect(await page.getByText('does not accept').count()).toBe(0);
  });

  it('tells whoever runs the server what is missing', async () => {
    const unset = await startServerForTest({ env: { SUPABASE_URL: supabase.url } });
    const page = await (await openDevice(browser, unset)).newPage();
    await page.goto('/');
    await page.getByText('SUPABASE_ANON_KEY').waitFor();
    expect(await axeFindings(page)).toEqual([]);
  });
});
