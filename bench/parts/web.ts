import type { Browser, BrowserContext, CDPSession, Page } from 'playwright-core';
import { browserAvailable, launchBrowser, signInDevice } from '../../test/kit/browser.ts';
import { type Client, signIn } from '../../test/kit/client.ts';
import { seedMany } from '../../test/kit/seed.ts';
import type { Bench, Report } from '../kit/bench.ts';
import { buildProduct } from '../kit/build.ts';
import { startDatabase } from '../kit/database.ts';
import { createFigures } from '../kit/figures.ts';
import { startProduct } from '../kit/product.ts';
import { atMostFor, type Trace, traced } from '../kit/trace.ts';

const FEW = 100;
const MANY = 100_000;
/** How many exchanges are painted at first. */
const FIRST = 50;
/** So far it is scrolled back at once, in exchanges, so many times, and so fast, in px a second. */
const STRETCH = 100;
const STRETCHES = 10;
const SPEED = 5_000;
const FRAME_MS = 1_000 / 60;
const LATE_MS = FRAME_MS * 1.5;
const TYPED = 'The roses want water, the beans want a pole, and you said so. '
  .repeat(4)
  .slice(0, 200);
const KEY_MS = 30;
const VIEW = { width: 1280, height: 800 };
const YEARS_MS = 8 * 365 * 24 * 60 * 60 * 1_000;

const nameOf = (count: number) => `${count.toLocaleString('en')} messages`;

const CONTESTANTS: Readonly<Record<string, string>> = {
  [nameOf(FEW)]:
    `the same page with a short history; back through it, and forth, ${STRETCHES / 2} times each.`,
  [nameOf(MANY)]: `the web client as it is built; back through ${STRETCHES * STRETCH} exchanges.`,
};

const TARGETS = {
  'first visit: JavaScript until painted, compressed': { value: 150 },
  'first visit: pages of history asked for': { value: 1 },
  'later visit: pages of history asked for': { value: 1 },
  'scrolling back: late frames': { value: 5 },
};

/** What a history of a lifetime costs in the browser, beside a short one. */
export async function web(bench: Bench): Promise<Report> {
  if (!browserAvailable) throw new Error('This part needs Chromium.');
  bench.progress('building the product');
  await buildProduct();
  bench.progress('starting PostgreSQL and the product');
  const database = await startDatabase();
  bench.onStop(database.stop);
  const product = await startProduct(database);
  bench.onStop(product.stop);
  const people = new Map<number, Client>();
  for (const count of [FEW, MANY]) {
    bench.progress(`storing ${nameOf(count)}`);
    const person = await signIn(product);
    const to = new Date(Date.now() - 60 * 60 * 1_000);
    const from = new Date(to.getTime() - YEARS_MS);
    await seedMany(database.ownerUrl, person.userId, { count, from, to });
    people.set(count, person);
  }
  const figures = createFigures(TARGETS);
  for (let round = 1; round <= bench.rounds; round += 1) {
    for (const [count, person] of people) {
      const where = `round ${round} of ${bench.rounds}, ${nameOf(count)}`;
      const add = (name: string, unit: string, value: number) =>
        figures.add(name, unit, nameOf(count), value);
      // A browser of its own: nothing is warm but the server.
      const browser = await launchBrowser();
      bench.onStop(() => browser.close());
      const options = { baseURL: product.url, viewport: VIEW };
      bench.progress(`${where}: opening the page`);
      // The service worker would fetch everything ahead, and hide what the page does.
      const first = await browser.newContext({ ...options, serviceWorkers: 'block' });
      await signInDevice(first, person);
      await visit('first visit', first, add);
      await first.close();
      const context = await browser.newContext(options);
      await signInDevice(context, person);
      await comeBefore(context);
      await visit('later visit', context, add);
      const page = await context.newPage();
      await open(page);
      bench.progress(`${where}: scrolling back`);
      addFrames(await scrollBack(browser, page, count === FEW), add);
      bench.progress(`${where}: typing`);
      addKeys(await type(browser, page), add);
      await browser.close();
    }
  }
  return {
    title: `The web client, a life of ${nameOf(MANY)}`,
    contestants: CONTESTANTS,
    promised: nameOf(MANY),
    figures: figures.all(),
    notes: [
      `Headless Chromium draws 60 frames a second, in software. Scrolled at ${SPEED} px a second; late is a frame that comes more than ${LATE_MS.toFixed(0)} ms after the one before it.`,
      `Painted: ${FIRST} exchanges are there, and the frame that shows them has been drawn; from the beginning of navigation. First visit: nothing is cached. Later visit: the cache is warm, and the service worker there.`,
      'One types as soon as one has scrolled: the last page of the history still comes in meanwhile, and is the longest task.',
      'Browser, server and PostgreSQL share the machine.',
    ],
  };
}

type Add = (name: string, unit: string, value: number) => void;

/** Opens the page, and notes what that took. */
async function visit(name: string, context: BrowserContext, add: Add): Promise<void> {
  const page = await context.newPage();
  const loads = await watchLoads(await context.newCDPSession(page));
  const paintedAt = await open(page);
  await page.waitForLoadState('networkidle');
  const until = (await page.evaluate(() => performance.timeOrigin)) + paintedAt;
  const before = loads.filter(({ at }) => at <= until);
  const pages = before.filter(({ body }) => body.includes('query HistoryPage'));
  const needed = scriptKbOf(before);
  add(`${name}: JavaScript until painted, compressed`, 'KB', needed);
  add(`${name}: JavaScript ahead of its use, compressed`, 'KB', scriptKbOf(loads) - needed);
  add(`${name}: requests until painted`, 'requests', before.length);
  add(`${name}: pages of history asked for`, 'requests', pages.length);
  add(`${name}: painted after`, 'ms', paintedAt);
  await page.close();
}

/** So that all is cached, and the service worker is there. */
async function comeBefore(context: BrowserContext): Promise<void> {
  const page = await context.newPage();
  await open(page);
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await page.close();
}

/** Answers when the newest exchanges were painted, in ms since navigation began. */
async function open(page: Page): Promise<number> {
  await page.goto('/', { waitUntil: 'commit' });
  return page.evaluate(async (first) => {
    while (document.querySelectorAll('[data-created-at]').length < first) {
      await new Promise(requestAnimationFrame);
    }
    // The next one begins when this one has been drawn.
    await new Promise(requestAnimationFrame);
    return performance.now();
  }, FIRST);
}

/** Something that a page asked for. */
interface Load {
  readonly at: number;
  readonly body: string;
  readonly isScript: boolean;
  /** That came over the wire, compressed, with their headers. */
  bytes: number;
}

const scriptKbOf = (loads: readonly Load[]): number =>
  loads.reduce((sum, { isScript, bytes }) => sum + (isScript ? bytes : 0), 0) / 1_000;

async function watchLoads(session: CDPSession): Promise<readonly Load[]> {
  const loads: Load[] = [];
  const byId = new Map<string, Load>();
  session.on('Network.requestWillBeSent', ({ requestId, request, type, wallTime }) => {
    const body = request.postData ?? '';
    const load = { at: wallTime * 1_000, body, isScript: type === 'Script', bytes: 0 };
    loads.push(load);
    byId.set(requestId, load);
  });
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const load = byId.get(requestId);
    if (load) load.bytes = encodedDataLength;
  });
  await session.send('Network.enable');
  return loads;
}

/** One stretch after the other; where the history is too short for that, back and forth. */
async function scrollBack(browser: Browser, page: Page, isShort: boolean): Promise<Trace[]> {
  const session = await page.context().newCDPSession(page);
  const height = await page.evaluate(() => {
    const list = document.querySelector('.history-list');
    return (list?.scrollHeight ?? 0) / document.querySelectorAll('[data-created-at]').length;
  });
  const traces: Trace[] = [];
  for (let stretch = 0; stretch < STRETCHES; stretch += 1) {
    const back = !isShort || stretch % 2 === 0;
    traces.push(
      await traced(browser, () =>
        session.send('Input.synthesizeScrollGesture', {
          x: VIEW.width / 2,
          y: VIEW.height / 2,
          yDistance: Math.round(height * STRETCH) * (back ? 1 : -1),
          speed: SPEED,
          gestureSourceType: 'mouse',
        }),
      ),
    );
  }
  return traces;
}

/** Where one has scrolled to. */
function type(browser: Browser, page: Page): Promise<Trace> {
  return traced(browser, async () => {
    await page.getByRole('textbox', { name: 'Message' }).focus();
    await page.keyboard.type(TYPED, { delay: KEY_MS });
  });
}

function addFrames(traces: readonly Trace[], add: Add): void {
  const gaps = traces.flatMap(({ frameGaps }) => frameGaps);
  const whole = gaps.reduce((sum, gap) => sum + gap, 0);
  const late = gaps.filter((gap) => gap > LATE_MS).length;
  add('scrolling back: frames a second', 'frames', gaps.length / (whole / 1_000));
  add('scrolling back: late frames', '%', (late / gaps.length) * 100);
  add('scrolling back: longest frame', 'ms', Math.max(...gaps));
  add(
    'scrolling back: longest task, CPU',
    'ms',
    Math.max(...traces.map((trace) => trace.longestTask)),
  );
}

function addKeys({ keyDelays, longestTask }: Trace, add: Add): void {
  add('typing: a key shows after, p50', 'ms', atMostFor(keyDelays, 0.5));
  add('typing: a key shows after, p95', 'ms', atMostFor(keyDelays, 0.95));
  add('typing: longest task, CPU', 'ms', longestTask);
}
