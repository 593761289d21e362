import type { Redis } from 'ioredis';
import { redisAvailable, startRedis } from '../../test/kit/redis.ts';
import type { PagesLoad } from '../load/pages.ts';
import type { Crowd } from '../load/people.ts';
import type { Bench } from './bench.ts';
import { builtFile, installContestants, nodeFor } from './build.ts';
import type { Contestant, Settings } from './contestant.ts';
import { startDatabase } from './database.ts';
import { createMeters, type Meters } from './meters.ts';
import { type Remote, startRemote } from './remote.ts';
import { JWT_SECRET } from './tokens.ts';

/** A server that is measured. */
export interface Side {
  readonly as: string;
  readonly server: Remote<Contestant>;
  readonly url: string;
}

/** What the parts about pages need: PostgreSQL, Redis, and whoever serves. */
export interface Stage {
  readonly settings: Settings;
  readonly redis: Redis;
  readonly meters: Meters;
  readonly sides: readonly Side[];
  /** Who asks for pages: so many users, each with so many exchanges, the first one with so many. */
  askers(crowd: Omit<Crowd, 'ownerUrl' | 'jwtSecret'>): Promise<Remote<PagesLoad>>;
  /** Starts a contestant, which is stopped with all else. */
  enter(as: string, settings?: Partial<Settings>): Promise<Side>;
  /** Everybody in turn, in every round another first: a noisy moment is nobody's alone. */
  inTurn(what: string, sides: readonly Side[], run: (side: Side) => Promise<void>): Promise<void>;
}

/** Starts them; the bench stops them. */
export async function openStage(
  bench: Pick<Bench, 'rounds' | 'progress' | 'onStop'>,
): Promise<Stage> {
  if (!redisAvailable) throw new Error('This part needs redis-server or valkey-server.');
  bench.progress('starting PostgreSQL and Redis');
  const { ownerUrl, url, dataDir, stop } = await startDatabase();
  bench.onStop(stop);
  const redis = await startRedis();
  bench.onStop(redis.stop);
  const database = { ownerUrl, url };
  const settings: Settings = { redisUrl: redis.url, database, jwtSecret: JWT_SECRET, dataDir };
  const sides: Side[] = [];
  return {
    settings,
    redis: redis.client,
    meters: await createMeters(ownerUrl, redis.client),
    sides,
    async askers(crowd) {
      if (!crowd.withoutBooks) await installContestants(bench.progress);
      bench.progress(`storing ${crowd.users} histories`);
      const load = startRemote<PagesLoad>(builtFile('load/pages'));
      bench.onStop(() => load.stop());
      await load.ask('prepare', { redisUrl: redis.url, ownerUrl, jwtSecret: JWT_SECRET, ...crowd });
      return load;
    },
    async enter(as, others = {}) {
      bench.progress(`starting ${as}`);
      const server = startRemote<Contestant>(
        builtFile(`contestants/${as}`),
        ['--expose-gc'],
        nodeFor(as),
      );
      bench.onStop(() => server.stop());
      const address = await server.ask('start', { ...settings, ...others });
      const side = { as, server, url: address.replace('ws://', 'http://') };
      sides.push(side);
      return side;
    },
    async inTurn(what, taking, run) {
      for (let round = 0; round < bench.rounds; round += 1) {
        for (let i = 0; i < taking.length; i += 1) {
          const side = taking[(i + round) % taking.length] as Side;
          bench.progress(`${what}, round ${round + 1} of ${bench.rounds}: ${side.as}`);
          await run(side);
        }
      }
    },
  };
}
