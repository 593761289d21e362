import type { Readiness } from './http.ts';
import type { Success } from './success.ts';

/** What `/status` tells; nothing in it is a user's. */
export interface Status extends Readiness {
  readonly version: string;
  /** Of the process that runs for the longest. */
  readonly upSeconds: number;
  readonly processes: number;
  readonly measures: readonly Success[];
}

/** For people. Whatever is written into it is a number or a word of our own. */
export const statusPage = (status: Status): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="robots" content="noindex" />
    <title>chatkeep · ${status.postgres === 'up' ? 'up' : 'PostgreSQL is away'}</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/status/style.css" />
    <script type="module" src="/status/page.js"></script>
  </head>
  <body>
    <main>
      <h1>How chatkeep is doing</h1>
      <p class="summary">${summaryOf(status)}</p>
      <h2>Parts</h2>
      <dl>
        ${part('PostgreSQL', status.postgres === 'up' ? 'good' : 'bad', POSTGRES[status.postgres])}
        ${part('Redis', status.redis === 'down' ? 'bad' : 'good', REDIS[status.redis])}
        ${part('chatkeep', 'good', runningFor(status))}
      </dl>
      <h2>Promised and measured</h2>
      <ul>
        ${status.measures.map(measure).join('\n        ')}
      </ul>
      <p class="note">Counted since the start. Times are those that 95 of 100 kept to.</p>
    </main>
  </body>
</html>
`;

/** Of fewer than these, one that was slow would be a broken promise of 95 in 100. */
const ENOUGH = 20;

const verdictOf = ({ kept, count }: Pick<Success, 'kept' | 'count'>): Verdict =>
  kept === null || count < ENOUGH ? 'open' : kept ? 'good' : 'bad';

function summaryOf({ postgres, redis, measures }: Status): string {
  if (postgres === 'down')
    return 'PostgreSQL is away: nothing can be read or sent until it is back.';
  if (redis === 'down') return 'Redis is away: everything goes on, more slowly.';
  const missed = measures.filter((one) => verdictOf(one) === 'bad').length;
  if (missed > 0) return `It works, and misses ${missed} of its ${measures.length} promises.`;
  return 'All is well.';
}

const POSTGRES = { up: 'answers', down: 'does not answer' } as const;
const REDIS = {
  up: 'answers',
  down: 'does not answer',
  none: 'not configured: the cache is in the process',
} as const;

type Verdict = 'good' | 'bad' | 'open';

const part = (name: string, verdict: Verdict, words: string): string =>
  `<div class="${verdict}"><dt>${name}</dt><dd>${words}</dd></div>`;

function runningFor({ version, upSeconds, processes }: Status): string {
  const many = processes === 1 ? '' : `, in ${processes} processes`;
  return `version ${version}, up for ${duration(upSeconds)}${many}`;
}

function measure({ about, unit, target, measured, count, within, kept }: Success): string {
  const verdict = verdictOf({ kept, count });
  const word = { good: 'kept', bad: 'missed', open: count === 0 ? 'nothing yet' : 'too few yet' }[
    verdict
  ];
  const promised = unit === 'share' ? `more than ${share(target)}` : `less than ${time(target)}`;
  const inTime = within === null ? '' : `, ${share(within)} of them in time`;
  return `<li class="${verdict}">
          <h3>${about}</h3>
          <p class="measured">${measured === null ? '–' : unit === 'share' ? share(measured) : time(measured)}</p>
          <p class="promised">${promised}: <strong>${word}</strong></p>
          <p class="note">${count === 0 ? 'none counted' : `of ${count.toLocaleString('en')}${inTime}`}</p>
        </li>`;
}

const share = (part: number): string => `${round(part * 100, 1)} %`;

function time(seconds: number): string {
  if (seconds >= 1) return `${round(seconds, 1)} s`;
  const ms = seconds * 1000;
  return `${round(ms, ms < 10 ? 1 : 0)} ms`;
}

/** A share that is a little short of all is not written as all. */
const round = (value: number, digits: number): string =>
  String(Math.floor(value * 10 ** digits) / 10 ** digits);

function duration(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
