import { redisAvailable, startRedis } from '../../test/kit/redis.ts';
import type { Bench, Report, Target } from '../kit/bench.ts';
import { builtFile } from '../kit/build.ts';
import { createFigures } from '../kit/figures.ts';
import { startRemote } from '../kit/remote.ts';
import { median } from '../kit/statistics.ts';
import type { Invalidator, LeasesLoad } from '../load/leases.ts';

const CONTESTANTS: Readonly<Record<Invalidator, string>> = {
  chatkeep: "the product: a user's lease moves to the new number. No page is looked for.",
  scan: 'SCAN for the keys of a user, 100 at a time, and DEL, as in the design that the product replaces.',
};

const KEYS = [10, 1_000_000];
const TIMES: Readonly<Record<Invalidator, number>> = { chatkeep: 2_000, scan: 1 };
const WARM_UP = 500;

const nameOf = (keys: number) => `${keys.toLocaleString('en')} keys in Redis`;
const AGAINST = 'p50 with a million keys against ten';

const TARGETS: Readonly<Record<string, Target>> = {
  ...Object.fromEntries(KEYS.map((keys) => [`${nameOf(keys)}: p50`, { value: 0.5 }])),
  [AGAINST]: { value: 1.3 },
};

/** How long it takes until no reader gets a page from before a change. */
export async function invalidation(bench: Bench): Promise<Report> {
  if (!redisAvailable) throw new Error('This part needs redis-server or valkey-server.');
  const figures = createFigures(TARGETS);
  const invalidators = Object.keys(CONTESTANTS) as Invalidator[];
  const few: Partial<Record<Invalidator, number>> = {};
  bench.progress('starting Redis');
  const redis = await startRedis();
  bench.onStop(redis.stop);
  const load = startRemote<LeasesLoad>(builtFile('load/leases'));
  bench.onStop(() => load.stop());
  await load.ask('connect', { redisUrl: redis.url });
  await load.ask('invalidate', { as: 'chatkeep', times: WARM_UP });
  for (const keys of KEYS) {
    await redis.client.flushall();
    bench.progress(`storing ${nameOf(keys)}`);
    await load.ask('fill', keys);
    for (const as of invalidators) {
      const p50s: number[] = [];
      for (let round = 1; round <= bench.rounds; round += 1) {
        bench.progress(`${nameOf(keys)}, round ${round} of ${bench.rounds}: ${as}`);
        const { p50, p99 } = await load.ask('invalidate', { as, times: TIMES[as] });
        figures.add(`${nameOf(keys)}: p50`, 'ms', as, p50);
        figures.add(`${nameOf(keys)}: p99`, 'ms', as, p99);
        p50s.push(p50);
      }
      const p50 = median(p50s);
      if (keys === KEYS[0]) few[as] = p50;
      else figures.add(AGAINST, 'x', as, p50 / (few[as] ?? Number.NaN));
    }
  }
  return {
    title: 'Making cached pages invalid',
    contestants: CONTESTANTS,
    figures: figures.all(),
    notes: ['One after the other, each of another user; the round trip to Redis is in it.'],
  };
}
