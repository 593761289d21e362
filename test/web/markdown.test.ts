import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { browserAvailable, launchBrowser, openDevice, signInDevice } from '../kit/browser.ts';
import { signIn, send } from '../kit/client.ts';
import { type GeminiServer, startGeminiServer } from '../kit/gemini-server.ts';
import { PAYLOADS } from '../kit/payloads.ts';
import { startServer, type TestServer } from '../kit/server.ts';

/** So many are on show at a time: all of them are drawn, none is beyond the edge. */
const AT_A_TIME = 20;

/** What the page asks for itself. */
const OWN = /^\/(graphql|assets\/[\w.-]+|[\w-]+\.(png|svg|webmanifest|js))?$/;

/** What is in the texts on show that must not be, in words. */
async function foreignBodies(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const known =
      'p,span,div,strong,em,del,code,pre,a,ul,ol,li,h3,blockquote,hr,br,sup,section,table';
    const more = 'thead,tbody,tr,th,td,figure,figcaption,button,time,input[type=checkbox]:disabled';
    for (const text of document.querySelectorAll('article .said-text, article .reply')) {
      for (const element of text.querySelectorAll('*')) {
        const { outerHTML } = element;
        if (!element.matches(`${known},${more}`)) found.push(outerHTML);
        for (const { name } of element.attributes) {
          if (/^(on|src|srcset|formaction|action|ping|xlink)/.test(name)) found.push(outerHTML);
        }
        if (!(element instanceof HTMLAnchorElement)) continue;
        const isSafe = /^(https?|mailto):$/.test(element.protocol);
        const isApart = element.rel === 'noopener noreferrer' && element.target === '_blank';
        if (!isSafe || !isApart) found.push(outerHTML);
      }
    }
    return found;
  });
}

const batches = Array.from({ length: Math.ceil(PAYLOADS.length / AT_A_TIME) }, (_, n) =>
  PAYLOADS.slice(n * AT_A_TIME, (n + 1) * AT_A_TIME),
);

describe.runIf(browserAvailable)('What strangers write', () => {
  let gemini: GeminiServer;
  let server: TestServer;
  let browser: Browser;

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

  it('is tried with more than a hundred payloads', () => {
    expect(new Set(PAYLOADS).size).toBeGreaterThan(100);
  });

  it.each(batches.map((texts) => [texts[0], texts] as const))(
    'runs nothing and fetches nothing, from the user and from the model: %j and the next ones',
    async (_, texts) => {
      const user = await signIn(server);
      const device = await openDevice(browser, server, {
        viewport: { width: 1280, height: 8_000 },
      });
      await signInDevice(device, user);
      const page = await device.newPage();
      const events = new Set<string>();
      page.on('dialog', (dialog) => {
        events.add(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on('popup', (popup) => events.add(`popup: ${popup.url()}`));
      page.on('framenavigated', (frame) => events.add(`went to ${frame.url()}`));
      page.on('request', (request) => {
        if (!OWN.test(new URL(request.url()).pathname)) events.add(`asked for ${request.url()}`);
      });
      const allThere = async () => {
        await expect.poll(() => page.getByRole('article').count()).toBe(texts.length);
        await expect.poll(() => page.locator('[aria-busy="true"]').count()).toBe(0);
        expect(await page.locator('.said-text').allTextContents()).toEqual(texts);
        expect(await foreignBodies(page)).toEqual([]);
      };
      await page.goto('/');
      await page.getByRole('textbox', { name: 'Message' }).waitFor();
      // As they come, a few letters at a time; then as they are read again.
      gemini.script(...texts.map((text) => ({ chunks: text.match(/.{1,9}/gsu) ?? [] })));
      for (const text of texts) await send(user, text);
      await allThere();
      await page.reload();
      await allThere();
      expect([...events]).toEqual([`went to ${server.url}/`]);
    },
  );
});
