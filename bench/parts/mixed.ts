import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Report, Target } from '../kit/bench.ts';
import { builtFile, installContestants } from '../kit/build.ts';
import { createFigures } from '../kit/figures.ts';
import { startRemote } from '../kit/remote.ts';
import { openStage } from '../kit/stage.ts';
import { JWT_SECRET } from '../kit/tokens.ts';
import type { Act, TrafficLoad } from '../load/traffic.ts';

const AS = 'chatkeep';
const USERS = 1_000;
const MESSAGES = 120;
const A_SECOND = 400;
const SHARES: Readonly<Record<Act, number>> = {
  'first page': 0.8,
  'second page': 0.1,
  search: 0.05,
  send: 0.05,
};
/** As a part of the load's time: what comes before has filled what there is to fill. */
const HALF = 0.5;
/** V8 gives back what the start has needed once nothing has happened for about 20 s. */
const IDLE_MS = 40_000;
const MB = 1e6;

const TARGETS: Readonly<Record<string, Target>> = {
  'reads from the cache': { atLeastValue: 70 },
  'first page: p50': { value: 10 },
  'send: p50': { value: 50 },
  refused: { value: 0 },
  'memory of an idle server, RSS': { value: 120 },
  'growth of the heap in the second half': { value: 5 },
};

/** A thousand people at a time, of whom most read. */
export async function mixed(bench: Bench): Promise<Report> {
  await installContestants(bench.progress);
  const stage = await openStage(bench);
  const figures = createFigures(TARGETS);
  const add = (name: string, unit: string, value: number) => figures.add(name, unit, AS, value);
  const { url, server } = await stage.enter(AS);
  add('memory right after the start, RSS', 'MB', (await server.ask('memory')).rss / MB);
  bench.progress('letting it be idle');
  await sleep(IDLE_MS);
  add('memory of an idle server, RSS', 'MB', (await server.ask('memory')).rss / MB);
  const load = startRemote<TrafficLoad>(builtFile('load/traffic'));
  bench.onStop(() => load.stop());
  bench.progress(`storing ${USERS} histories`);
  const { ownerUrl } = stage.settings.database;
  const sizes = { users: USERS, messages: MESSAGES, manyMessages: MESSAGES };
  await load.ask('prepare', { ownerUrl, jwtSecret: JWT_SECRET, ...sizes });

  const given = { url, aSecond: A_SECOND, shares: SHARES, seconds: bench.minutes * 60 * HALF };
  bench.progress(`${bench.minutes} minutes of it: first half`);
  await load.ask('run', given);
  const before = await server.ask('memory');
  bench.progress(`${bench.minutes} minutes of it: second half`);
  const { result, spent } = await stage.meters.during(server, () => load.ask('run', given));
  const after = await server.ask('memory');

  add('reads from the cache', '%', (100 * result.hits) / result.reads);
  for (const [act, { p50, p99 }] of Object.entries(result.latencies)) {
    add(`${act}: p50`, 'ms', p50);
    add(`${act}: p99`, 'ms', p99);
  }
  add('refused', 'requests', result.refused);
  add("CPU a request: the server's", 'µs', spent.server / result.requests);
  add("CPU a request: PostgreSQL's", 'µs', spent.postgres / result.requests);
  add("CPU a request: Redis'", 'µs', spent.redis / result.requests);
  add('memory under load, RSS', 'MB', after.rss / MB);
  add('heap after garbage collection', 'MB', after.heap / MB);
  add('growth of the heap in the second half', 'MB', (after.heap - before.heap) / MB);
  const sends = (100 * SHARES.send).toFixed(0);
  return {
    title: `${USERS.toLocaleString('en')} users, ${A_SECOND} requests a second, ${sends} % of them messages`,
    contestants: { [AS]: 'the product, all of it switched on.' },
    figures: figures.all(),
    notes: [
      `An idle server is one that nothing was asked of for ${IDLE_MS / 1000} s.`,
      `${bench.minutes} minutes, of which the second half is measured; "-- mixed --minutes=10" looks longer. Everybody is as likely to come next as everybody else, which is hard on a cache: people read several times before they write again.`,
      'Each message changes a history twice, once more when its reply has ended, and a page with a reply that is being written is not kept.',
    ],
  };
}
