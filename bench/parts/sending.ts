import postgres from 'postgres';
import type { Bench, Report, Target } from '../kit/bench.ts';
import { builtFile, installContestants } from '../kit/build.ts';
import { createFigures } from '../kit/figures.ts';
import { startRemote } from '../kit/remote.ts';
import { openStage } from '../kit/stage.ts';
import { JWT_SECRET } from '../kit/tokens.ts';
import type { TrafficLoad } from '../load/traffic.ts';

const AS = 'chatkeep';
const A_SECOND = 50;
const USERS = 200;
const MESSAGES = 60;
const WARM_UP_S = 2;
/** A window of sends is so many times as long as others are: 1 % has to be more than one or two. */
const LONGER = 3;

const TARGETS: Readonly<Record<string, Target>> = {
  'stored: p50': { value: 10 },
  'stored: p99': { value: 10 },
  refused: { value: 0 },
};

/** From a message's sending until it is stored and says so; its reply is written afterwards. */
export async function sending(bench: Bench): Promise<Report> {
  await installContestants(bench.progress);
  const stage = await openStage(bench);
  const load = startRemote<TrafficLoad>(builtFile('load/traffic'));
  bench.onStop(() => load.stop());
  bench.progress(`storing ${USERS} histories`);
  const { ownerUrl } = stage.settings.database;
  const sizes = { users: USERS, messages: MESSAGES, manyMessages: MESSAGES };
  await load.ask('prepare', { ownerUrl, jwtSecret: JWT_SECRET, ...sizes });
  const { url, server } = await stage.enter(AS);
  const given = { url, aSecond: A_SECOND, shares: { send: 1 } };
  bench.progress('warming up');
  await load.ask('run', { ...given, seconds: WARM_UP_S });
  await recycleLog(ownerUrl);
  const figures = createFigures(TARGETS);
  for (let round = 1; round <= bench.rounds; round += 1) {
    bench.progress(`round ${round} of ${bench.rounds}`);
    const { result, spent } = await stage.meters.during(server, () =>
      load.ask('run', { ...given, seconds: LONGER * bench.seconds }),
    );
    const { p50, p99 } = result.latencies.send ?? { p50: Number.NaN, p99: Number.NaN };
    figures.add('stored: p50', 'ms', AS, p50);
    figures.add('stored: p99', 'ms', AS, p99);
    figures.add('refused', 'messages', AS, result.refused);
    figures.add(
      "CPU of a message and its reply: the server's",
      'µs',
      AS,
      spent.server / result.requests,
    );
    figures.add(
      "CPU of a message and its reply: PostgreSQL's",
      'µs',
      AS,
      spent.postgres / result.requests,
    );
    figures.add("CPU of a message and its reply: Redis'", 'µs', AS, spent.redis / result.requests);
  }
  return {
    title: `${A_SECOND} messages a second`,
    contestants: {
      [AS]: 'the product over HTTP, awaitReply: false: PostgreSQL has committed, the lease has moved, and devices have been told.',
    },
    figures: figures.all(),
    notes: [
      `${USERS} users in turn. The offline companion writes the replies meanwhile, in the same process: a model elsewhere would leave more of it.`,
    ],
  };
}

/**
 * A checkpoint renames the log's old files for what comes next. Until its first one a database makes a new file
 * of each 16 MB, and fills it with zeros while all commits wait (PostgreSQL, 28.5).
 */
async function recycleLog(ownerUrl: string): Promise<void> {
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  await sql`checkpoint`;
  await sql.end();
}
