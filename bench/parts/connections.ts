import type { Bench, Report, Target } from '../kit/bench.ts';
import { createFigures } from '../kit/figures.ts';
import { requireOpenFiles } from '../kit/machine.ts';
import { openStage } from '../kit/stage.ts';

const CONTESTANTS: Readonly<Record<string, string>> = {
  floor: 'node:http that sends the bytes of a Redis key. No token check, no GraphQL.',
  chatkeep: 'the product, all of it switched on.',
};

const CONNECTIONS = [1, 10, 100, 1_000];
const USERS = { from: 1, users: 100 };
const MESSAGES = 60;
const WARM_UP_S = 1;

const nameOf = (connections: number) =>
  `${connections.toLocaleString('en')} connection${connections === 1 ? '' : 's'}`;

/** A person waits for their own page, and not for how many others are served. */
const TARGETS: Readonly<Record<string, Target>> = {
  [`${nameOf(1)}: p99`]: { value: 10 },
  [`${nameOf(10)}: p99`]: { value: 10 },
  ...Object.fromEntries(CONNECTIONS.map((n) => [`${nameOf(n)}: refused`, { value: 0 }])),
};

/** The first page of the history from the cache, for few and for many at the same time. */
export async function connections(bench: Bench): Promise<Report> {
  requireOpenFiles(Math.max(...CONNECTIONS) + 200);
  const stage = await openStage(bench);
  const load = await stage.askers({
    users: USERS.from + USERS.users,
    messages: MESSAGES,
    manyMessages: MESSAGES,
  });
  await stage.enter('floor');
  const chatkeep = await stage.enter('chatkeep');
  await load.ask('layFloor', { as: 'chatkeep', url: chatkeep.url, ...USERS });
  const figures = createFigures(TARGETS);
  for (const count of CONNECTIONS) {
    const name = nameOf(count);
    await stage.inTurn(name, stage.sides, async ({ as, url, server }) => {
      const given = { as, url, ...USERS, connections: count, mayRefuse: true };
      await load.ask('hammer', { ...given, seconds: WARM_UP_S });
      const { result, spent } = await stage.meters.during(server, () =>
        load.ask('hammer', { ...given, seconds: bench.seconds }),
      );
      figures.add(`${name}: requests a second`, '1/s', as, result.requests / result.seconds);
      figures.add(`${name}: p50`, 'ms', as, result.p50);
      figures.add(`${name}: p99`, 'ms', as, result.p99);
      figures.add(`${name}: refused`, 'requests', as, result.refused);
      figures.add(`${name}: CPU a request`, 'µs', as, spent.server / result.requests);
    });
  }
  return {
    title: 'The first page of the history from the cache, by parallel connections',
    contestants: CONTESTANTS,
    figures: figures.all(),
    notes: [
      'Each connection asks again when it has its answer: with many of them, what is waited for is their turn on one core, which load generator and Redis share with the server.',
    ],
  };
}
