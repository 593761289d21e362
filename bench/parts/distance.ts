import { startGate } from '../../test/kit/gate.ts';
import type { Bench, Report } from '../kit/bench.ts';
import { createFigures } from '../kit/figures.ts';
import { openStage, type Side } from '../kit/stage.ts';

/** There and back. */
const ROUND_TRIP_MS = 20;
const CONNECTIONS = [1, 8];
const CONTESTANTS: Readonly<Record<string, string>> = {
  select:
    'the same SELECT by the same driver, as the owner of the table: no row level security, no GraphQL, no cache.',
  chatkeep: 'the product; each page is asked for the first time.',
  yoga: 'GraphQL Yoga over the same statements, likewise.',
  postgraphile: 'PostGraphile 5 under the same row level security.',
};

/** Pages that nobody has asked for: so many a contestant, round and number of connections. */
const COLD = 60;
/** Opens the connections to PostgreSQL, each of which takes some round trips by itself. */
const WARM = 40;
const MESSAGES = 60;

const nameOf = (connections: number) =>
  `miss, ${connections} connection${connections === 1 ? '' : 's'}`;

/** What a miss takes when PostgreSQL is in another place: how often one goes there is what one waits for. */
export async function distance(bench: Bench): Promise<Report> {
  const stage = await openStage(bench);
  const names = bench.contestants ?? Object.keys(CONTESTANTS);
  const cold = WARM + bench.rounds * COLD * CONNECTIONS.length;
  const load = await stage.askers({
    users: names.length * cold,
    messages: MESSAGES,
    manyMessages: MESSAGES,
  });
  const { url, ownerUrl } = stage.settings.database;
  const [gate, ownersGate] = [await startGate(url), await startGate(ownerUrl)];
  bench.onStop(() => [gate, ownersGate].map((each) => each.close()));
  // It says a lot about itself otherwise.
  process.env['GRAPHILE_ENV'] ??= 'production';
  const database = { url: gate.url, ownerUrl: ownersGate.url };
  for (const as of names) await stage.enter(as, { database });
  for (const each of [gate, ownersGate]) each.delay(ROUND_TRIP_MS / 2);

  let next = 0;
  const ask = ({ as, url: at }: Side, users: number, connections: number) => {
    const from = next;
    next += users;
    return load.ask('once', { as, url: at, from, users, connections });
  };
  const figures = createFigures({ [`${nameOf(1)}: p50`]: { value: 25 } });
  bench.progress('opening connections');
  for (const side of stage.sides) await ask(side, WARM, Math.max(...CONNECTIONS));
  for (const connections of CONNECTIONS) {
    const name = nameOf(connections);
    await stage.inTurn(name, stage.sides, async (side) => {
      const { p50, p99 } = await ask(side, COLD, connections);
      figures.add(`${name}: p50`, 'ms', side.as, p50);
      figures.add(`${name}: p99`, 'ms', side.as, p99);
    });
  }
  return {
    title: `A page of the history from PostgreSQL, ${ROUND_TRIP_MS} ms away`,
    contestants: Object.fromEntries(
      Object.entries(CONTESTANTS).filter(([as]) => names.includes(as)),
    ),
    figures: figures.all(),
    notes: [
      `A proxy keeps back what goes to PostgreSQL and what comes from it, ${ROUND_TRIP_MS / 2} ms either way; timers add up to 2 ms. Connections are open already.`,
    ],
  };
}
