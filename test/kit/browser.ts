import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import type { TestServer } from './server.ts';

const executablePath = '/usr/bin/chromium';

/** Whether this machine can run the tests that need a browser. */
export const browserAvailable = existsSync(executablePath);

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
}

export interface Device extends BrowserContext {
  /** What the console said, what threw, what was asked of another host: has to be empty at the end. */
  readonly complaints: string[];
}

/**
 * A device of its own: storage and cache are shared with no other. The test fails if a page of it warns,
 * throws or asks another host for anything, unless `mayComplain` of the text.
 */
export async function openDevice(
  browser: Browser,
  server: Pick<TestServer, 'url'>,
  options: BrowserContextOptions = {},
  mayComplain: RegExp = /^$/,
): Promise<Device> {
  const context = await browser.newContext({
    baseURL: server.url,
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
    ...options,
  });
  context.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  context.on('console', (message) => {
    // With serviceWorkers: 'block', which page.route needs.
    if (message.text() === 'Service Worker registration blocked by Playwright') return;
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (/^(http|ws)/.test(protocol) && host !== new URL(server.url).host) {
      complaints.push(`asked for ${request.url()}`);
    }
  });
  onTestFinished(async () => {
    await context.close();
    expect(complaints.filter((text) => !mayComplain.test(text))).toEqual([]);
  });
  return Object.assign(context, { complaints });
}

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe finds against a page as it is now, in words; nothing, if all is well. */
export async function axeFindings(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(axe, 'utf8'));
  return page.evaluate(async () => {
    // What is half faded in has half the contrast.
    const fading = document.getAnimations().filter((one) => one instanceof CSSTransition);
    await Promise.allSettled(fading.map(({ finished }) => finished));
    type Axe = {
      run(options: {
        preload: boolean;
      }): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
    };
    // Without `preload` nothing is fetched, which a page that is offline could not.
    const { violations } = await (window as unknown as { axe: Axe }).axe.run({ preload: false });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}

/** Signs a device in as a user, as if the user had been there before. */
export async function signInDevice(
  device: BrowserContext,
  { token, userId }: { token: string | undefined; userId: string },
): Promise<void> {
  await device.addInitScript((kept) => {
    // A new tab is nobody's page yet, and has no storage.
    if (window.location.protocol === 'http:') localStorage.setItem('chatkeep:guest', kept);
  }, JSON.stringify({ token, userId }));
}
