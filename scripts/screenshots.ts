// Takes the pictures in docs/screenshots/ from the running page, with the life that life.md tells.
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { buildProduct } from '../bench/kit/build.ts';
import { startDatabase } from '../bench/kit/database.ts';
import { startProduct } from '../bench/kit/product.ts';
import { launchBrowser, signInDevice } from '../test/kit/browser.ts';
import { signIn } from '../test/kit/client.ts';
import { startGeminiServer } from '../test/kit/gemini-server.ts';
import { liveThrough } from './screenshots/life.ts';

const folder = fileURLToPath(new URL('../docs/screenshots/', import.meta.url));
const DESK = { viewport: { width: 1200, height: 780 } };
const PHONE = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

const REPLY = [
  'The second one, I think, and not because it is the highest. Look at what happens around it:\n\n',
  '- the violins **let go** of the bar before, so there is room\n',
  '- yours is the only low note for a whole breath\n',
  '- and then the horn answers it, as if it had been asked\n\n',
  'So the best of the eleven is the one after which somebody else wants to say something. ',
  'Play it as you would say “and?” to your father at seven in the ',
];

await mkdir(folder, { recursive: true });
await buildProduct();
const gemini = await startGeminiServer();
const database = await startDatabase();
const product = await startProduct(database, {
  GEMINI_API_KEY: 'test-key',
  GEMINI_BASE_URL: gemini.url,
});
const browser = await launchBrowser();

try {
  const mara = await signIn(product);
  const idOf = await liveThrough(database.ownerUrl, mara.userId);

  /** Somebody's page; without a person, that of one who was never here. */
  async function open(path: string, options: BrowserContextOptions, person?: typeof mara) {
    const context = await browser.newContext({
      baseURL: product.url,
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
      ...options,
    });
    if (person) await signInDevice(context, person);
    const page = await context.newPage();
    await page.goto(path);
    await page.getByRole('textbox', { name: 'Message' }).waitFor();
    // A slider; where there is no room for it, a button that opens it.
    if (person) await page.getByLabel('Timeline').or(page.getByText('Timeline')).first().waitFor();
    await page.waitForLoadState('networkidle');
    return page;
  }

  async function take(page: Page, name: string): Promise<void> {
    await page.screenshot({ path: `${folder}${name}.png`, animations: 'disabled' });
    await page.context().close();
  }

  await take(await open('/', DESK), 'first-visit');

  const history = await open(`/m/${idOf('Lena does not want')}`, DESK, mara);
  await history.getByRole('blockquote').first().waitFor();
  await take(history, 'history');

  const night = await open(
    `/m/${idOf('The timer for the watering')}`,
    { ...DESK, colorScheme: 'dark' },
    mara,
  );
  await night.getByText('rainToday').waitFor();
  await take(night, 'night');

  await take(await open('/', PHONE, mara), 'phone');

  const search = await open('/', DESK, mara);
  await search.keyboard.press('Control+k');
  await search.getByRole('combobox', { name: 'Search for' }).fill('cello');
  await search.getByRole('option').first().waitFor();
  await search.waitForLoadState('networkidle');
  await take(search, 'search');

  const streaming = await open('/', DESK, mara);
  gemini.script({ chunks: REPLY, end: 'stall' });
  await streaming
    .getByRole('textbox', { name: 'Message' })
    .fill('The second of my eleven notes is the best one, I think. Why is that?');
  await streaming.keyboard.press('Enter');
  await streaming.getByText('at seven in the').waitFor();
  await take(streaming, 'streaming');
} finally {
  await browser.close();
  await product.stop();
  await database.stop();
  await gemini.stop();
}
