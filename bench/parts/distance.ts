import { startGate } from '../../test/kit/gate.ts';
import type { Bench, Report } from '../kit/bench.ts';
import { createFigures } from '../kit/figures.ts';
import { OTHER_PAGES } from '../kit/http.ts';
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
/** Who open the connections to PostgreSQL, each of which takes some round trips by itself. */
const WARM = 40;
/** So many other pages of theirs are missed before misses are measured. */
const WARM_UP_PAGES = 5;
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
  const most = Math.max(...CONNECTIONS);
  const warmUps = new Map<Side, () => Promise<void>>();
  for (const side of stage.sides) {
    const given = { as: side.as, url: side.url, from: next, users: WARM, connections: most };
    const others = [...OTHER_PAGES];
    await ask(side, WARM, most);
    warmUps.set(side, async () => {
      for (const other of others.splice(0, WARM_UP_PAGES)) {
        await load.ask('once', { ...given, ...other });
      }
    });
  }
  for (const connections of CONNECTIONS) {
    const name = nameOf(connections);
    await stage.inTurn(name, stage.sides, async (side) => {
      // Right before, as for the misses of the part history.
      await warmUps.get(side)?.();
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
