import type { Browser, CDPSession } from 'playwright-core';
import { percentile } from './statistics.ts';

/** What the browser's own trace tells of a stretch of time. */
export interface Trace {
  /** Between the frames in which something scrolled, until they were on the screen, in ms. */
  readonly frameGaps: readonly number[];
  /** The CPU of the longest task on a page's main thread, in ms. */
  readonly longestTask: number;
  /** From each key that went down to the frame that is drawn with it, in ms. */
  readonly keyDelays: readonly number[];
}

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** µs, as all times here. */
  readonly ts: number;
  /** The CPU that it took. */
  readonly tdur?: number;
  readonly id2?: { readonly local: string };
  readonly args: {
    readonly name?: string;
    readonly frame_reporter?: FrameReport;
    readonly data?: { readonly type?: string };
  };
}

/** Chromium's own account of a frame, from its beginning to its presentation. */
interface FrameReport {
  readonly state: string;
  readonly scroll_state: string;
}

/** What the compositor's thread drew and what the main thread did can come to the screen in one frame. */
const SAME_US = 2_000;

const CATEGORIES = [
  'devtools.timeline',
  'disabled-by-default-devtools.timeline',
  'disabled-by-default-devtools.timeline.frame',
];

/** Records what the browser does meanwhile. */
export async function traced(browser: Browser, run: () => Promise<unknown>): Promise<Trace> {
  const session: CDPSession = await browser.newBrowserCDPSession();
  const events: TraceEvent[] = [];
  session.on('Tracing.dataCollected', ({ value }) => {
    for (const event of value) events.push(event as unknown as TraceEvent);
  });
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: CATEGORIES },
  });
  await run();
  const complete = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
  await session.send('Tracing.end');
  await complete;
  await session.detach();
  return {
    frameGaps: frameGapsOf(events),
    longestTask: Math.max(0, ...tasksOf(events)),
    keyDelays: keyDelaysOf(events),
  };
}

function frameGapsOf(events: readonly TraceEvent[]): number[] {
  const begun = new Map<string, FrameReport | undefined>();
  const shown: number[] = [];
  for (const { name, ph, pid, ts, id2, args } of inOrder(events)) {
    if (name !== 'PipelineReporter') continue;
    const id = `${pid} ${id2?.local}`;
    if (ph === 'b') begun.set(id, args.frame_reporter);
    else if (showsScroll(begun.get(id)) && ts - (shown.at(-1) ?? 0) > SAME_US) shown.push(ts);
  }
  return shown.slice(1).map((ts, i) => (ts - (shown[i] ?? 0)) / 1000);
}

/** Where the page's main thread has to paint what scrolls, a frame that did without it shows nothing of it. */
const showsScroll = (frame: FrameReport | undefined): boolean =>
  frame?.scroll_state === 'SCROLL_COMPOSITOR_THREAD'
    ? frame.state.startsWith('STATE_PRESENTED')
    : frame?.scroll_state === 'SCROLL_MAIN_THREAD' && frame.state === 'STATE_PRESENTED_ALL';

function tasksOf(events: readonly TraceEvent[]): number[] {
  const mains = new Set(
    events
      .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  return events
    .filter(({ name, pid, tid }) => name === 'RunTask' && mains.has(`${pid} ${tid}`))
    .map(({ tdur = 0 }) => tdur / 1000);
}

/** Its own way there: input, main frame, commit, and the frame that is drawn with it. */
function keyDelaysOf(events: readonly TraceEvent[]): number[] {
  const delays: number[] = [];
  let pressed: number[] = [];
  let isCommitted = false;
  for (const { name, ts, args } of inOrder(events)) {
    if (name === 'EventDispatch' && args.data?.type === 'keydown') {
      pressed.push(ts);
      isCommitted = false;
    } else if (name === 'Commit') {
      isCommitted = true;
    } else if (name === 'DrawFrame' && isCommitted) {
      delays.push(...pressed.map((at) => (ts - at) / 1000));
      pressed = [];
    }
  }
  return delays;
}

const inOrder = (events: readonly TraceEvent[]) => [...events].sort((a, b) => a.ts - b.ts);

/** The value that a share of all of them does not exceed. */
export const atMostFor = (numbers: readonly number[], share: number): number =>
  percentile(
    [...numbers].sort((a, b) => a - b),
    share,
  );
