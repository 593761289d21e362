import { setTimeout as sleep } from 'node:timers/promises';
import { redisAvailable, startRedis } from '../../test/kit/redis.ts';
import type { Bench, Report } from '../kit/bench.ts';
import { builtFile } from '../kit/build.ts';
import type { Contestant, Memory, Settings } from '../kit/contestant.ts';
import { startDatabase } from '../kit/database.ts';
import { createFigures } from '../kit/figures.ts';
import { requireOpenFiles } from '../kit/machine.ts';
import { createMeters, type Meters, type Spent } from '../kit/meters.ts';
import { type Remote, startRemote } from '../kit/remote.ts';
import { median } from '../kit/statistics.ts';
import { JWT_SECRET } from '../kit/tokens.ts';
import type { Contender, EventKind, EventsLoad } from '../load/events.ts';
import type { Window } from '../load/window.ts';

const CONTESTANTS: Readonly<Record<Contender, string>> = {
  bare: 'ws and ioredis. No token check, no GraphQL, no PostgreSQL, no pings.',
  chatkeep: 'The product. Changes are read from PostgreSQL under row level security.',
  ordinary:
    'graphql-ws and Yoga, executed for each socket. A token check and pings, no PostgreSQL.',
};

const TARGETS = {
  'memory per idle socket, RSS': { value: 15 },
  'piece to 3 devices: CPU a delivery': { ratio: 1.3 },
  'piece to 3 devices: p99': { ratio: 2 },
  'piece to 1,000 devices: CPU a delivery': { ratio: 1.3 },
  'piece to 1,000 devices: p99': { ratio: 2 },
  'change to 1,000 devices: CPU a delivery': { ratio: 1.3 },
  'change to 1,000 devices: p99': { ratio: 2 },
};

const MEMORIES: readonly (readonly [keyof Memory, string])[] = [
  ['resident', 'memory per idle socket, RSS'],
  ['heap', 'memory per idle socket, heap'],
];
const KINDS: readonly (readonly [EventKind, string])[] = [
  ['delta', 'piece'],
  ['change', 'change'],
];
const FEW = 3;
const MANY = 1_000;
/** Events a second, to all users in turn. So many pieces are told of 33 replies. */
export const RATES: Readonly<Record<EventKind, number>> = { delta: 1_000, change: 100 };
/** Events in a closed loop, to one user. */
const TIMES: Readonly<Record<EventKind, number>> = { delta: 100, change: 30 };
const IDLE_ROUNDS = 3;
const WARM_USERS = 67;
/** Longer than the pings' interval. */
const IDLE_MS = 12_500;
/** How many changes were missed, and how often they are replayed in a round. */
const REPLAYS = [
  [1, 20],
  [100, 10],
  [10_000, 1],
] as const;
const MESSAGES = { times: 200, atATime: 40 };
const PAGES = 150;

const withComma = (n: number) => n.toLocaleString('en');

/** A contestant, and the load generator that is its counterpart. */
interface Side {
  readonly as: Contender;
  readonly load: Remote<EventsLoad>;
  server: Remote<Contestant>;
}

/** What live events cost, beside a server that only sends the same bytes. */
export async function events(bench: Bench): Promise<Report> {
  if (!redisAvailable) throw new Error('This part needs redis-server or valkey-server.');
  requireOpenFiles(bench.sockets + 200);
  const trial = await Trial.prepare(bench);
  await trial.idle();
  const bytes = await trial.compare();
  for (const [kind, name] of KINDS) {
    await trial.events(`${name} to ${FEW} devices`, (side) => trial.toAll(side, kind));
  }
  await trial.gather();
  for (const [kind, name] of KINDS) {
    await trial.events(`${name} to ${withComma(MANY)} devices`, (side) => trial.toOne(side, kind));
  }
  await trial.inTurn('replay', (side) => trial.replay(side));
  await trial.inTurn('other costs', (side) => trial.others(side));
  return {
    title: `Live events, ${withComma(trial.users * FEW)} sockets on one process`,
    contestants: CONTESTANTS,
    figures: trial.figures.all(),
    costs: trial.costs.all(),
    notes: [
      `A piece of a reply is a frame of ${bytes.delta} bytes, a stored change one of ${bytes.change}. Every contestant sends the same bytes, which is checked.`,
      `To ${FEW} devices: ${RATES.delta} pieces or ${RATES.change} changes a second, each to another user. To ${withComma(MANY)}: the next event when all have the last one.`,
      `Every change is stored in PostgreSQL for every contestant, but only chatkeep reads it there. With ${FEW} devices a user, that read is most of what a change costs.`,
      "RSS is without V8's young generation, which grows and shrinks with the traffic by more than thousands of sockets hold.",
      'CPU is that of the server process alone. Load generator, Redis and PostgreSQL share the machine with it.',
    ],
  };
}

class Trial {
  readonly figures = createFigures(TARGETS);
  /** For docs/scaling.md, beside the figures. */
  readonly costs = createFigures();
  /** Each has three devices; one more has many. */
  readonly users: number;
  readonly #bench: Bench;
  readonly #settings: Settings;
  readonly #meters: Meters;
  readonly #sides: Side[] = [];

  static async prepare(bench: Bench): Promise<Trial> {
    bench.progress('starting PostgreSQL and Redis');
    const { ownerUrl, url, dataDir, stop } = await startDatabase();
    bench.onStop(stop);
    const redis = await startRedis();
    bench.onStop(redis.stop);
    const trial = new Trial(
      bench,
      { redisUrl: redis.url, database: { ownerUrl, url }, jwtSecret: JWT_SECRET, dataDir },
      await createMeters(ownerUrl, redis.client),
    );
    const names = (bench.contestants ?? Object.keys(CONTESTANTS)) as readonly Contender[];
    for (const as of names) await trial.#enter(as);
    return trial;
  }

  private constructor(bench: Bench, settings: Settings, meters: Meters) {
    this.#bench = bench;
    this.#settings = settings;
    this.#meters = meters;
    this.users = Math.floor(bench.sockets / FEW);
  }

  async #enter(as: Contender): Promise<void> {
    this.#bench.progress(`storing users and their histories for ${as}`);
    const load = startRemote<EventsLoad>(builtFile('load/events'));
    const side: Side = { as, load, server: serverOf(as) };
    this.#sides.push(side);
    this.#bench.onStop(() => Promise.all([load.stop(), side.server.stop()]));
    await load.ask('prepare', {
      as,
      redisUrl: this.#settings.redisUrl,
      ownerUrl: this.#settings.database.ownerUrl,
      jwtSecret: JWT_SECRET,
      users: this.users + 1,
      replayed: Math.max(...REPLAYS.map(([missed]) => missed)) + 1,
    });
  }

  /** Everybody in turn, in every round another first: a noisy moment is nobody's alone. */
  async inTurn(
    what: string,
    play: (side: Side) => Promise<unknown>,
    atMost = this.#bench.rounds,
  ): Promise<void> {
    const rounds = Math.min(this.#bench.rounds, atMost);
    for (let round = 0; round < rounds; round += 1) {
      for (let i = 0; i < this.#sides.length; i += 1) {
        const side = this.#sides[(i + round) % this.#sides.length] as Side;
        this.#bench.progress(`${what}: round ${round + 1} of ${rounds}, ${side.as}`);
        await play(side);
      }
    }
  }

  /** Memory and CPU of idle sockets, for all at the same time, since they hardly do anything. */
  async idle(): Promise<void> {
    const rounds = Math.min(IDLE_ROUNDS, this.#bench.rounds);
    for (let round = 1; round <= rounds; round += 1) {
      this.#bench.progress(`idle sockets: round ${round} of ${rounds}, all`);
      await Promise.all(this.#sides.map((side) => this.#idle(side)));
    }
  }

  /** In a fresh process, which stays for the rest after the last round. */
  async #idle(side: Side): Promise<void> {
    const { as, load } = side;
    await side.server.stop();
    side.server = serverOf(as);
    const { server } = side;
    await load.ask('meet', await server.ask('start', this.#settings));
    const few = { from: 0, users: WARM_USERS, devices: FEW };
    for (let i = 0; i < 3; i += 1) {
      await load.ask('open', few);
      await load.ask('close', few);
    }
    const before = await server.ask('memory');
    await load.ask('open', { from: 0, users: this.users, devices: FEW });
    const { spent } = await this.#meters.during(server, () => sleep(IDLE_MS));
    const after = await server.ask('memory');
    for (const [what, name] of MEMORIES) {
      const each = (after[what] - before[what]) / 1024 / (this.users * FEW);
      this.figures.add(name, 'KB', as, each);
    }
    const perSecond = spent.server / (IDLE_MS / 1_000) / (this.users * FEW);
    this.figures.add('CPU of an idle socket', 'µs a s', as, perSecond);
  }

  /** The bytes of each kind of event; that they are everybody's is checked. */
  async compare(): Promise<Readonly<Record<EventKind, number>>> {
    const bytes = await Promise.all(this.#sides.map(({ load }) => load.ask('compare')));
    return bytes[0] ?? { delta: 0, change: 0 };
  }

  toAll({ load }: Side, kind: EventKind): Promise<Window> {
    const { seconds } = this.#bench;
    return load.ask('stream', { kind, from: 0, users: this.users, rate: RATES[kind], seconds });
  }

  toOne({ load }: Side, kind: EventKind): Promise<Window> {
    return load.ask('broadcast', { kind, user: this.users, times: TIMES[kind] });
  }

  /** One user with many devices, in the place of as many others. */
  async gather(): Promise<void> {
    for (const { as, load } of this.#sides) {
      this.#bench.progress(`opening ${MANY} devices of one user, ${as}`);
      await load.ask('close', { from: 0, users: Math.ceil(MANY / FEW) });
      await load.ask('open', { from: this.users, users: 1, devices: MANY });
    }
  }

  /** Once to warm up, then in rounds. */
  async events(name: string, run: (side: Side) => Promise<Window>): Promise<void> {
    const { profiles } = this.#bench;
    await this.inTurn(`${name}, warming up`, run, 1);
    await this.inTurn(name, (side) => this.#measure(side, name, () => run(side)));
    if (!profiles) return;
    await this.inTurn(
      `${name}, profile`,
      async (side) => {
        const path = `${profiles}/${side.as}, ${name}.cpuprofile`;
        await side.server.ask('profile', path);
        await run(side);
        await side.server.ask('profile', path);
      },
      1,
    );
  }

  async #measure(side: Side, name: string, run: () => Promise<Window>): Promise<void> {
    const { as, server } = side;
    const { result, spent } = await this.#meters.during(server, run);
    if (result.lost > 0) throw new Error(`${as} lost ${result.lost} deliveries (${name}).`);
    this.figures.add(`${name}: CPU a delivery`, 'µs', as, spent.server / result.deliveries);
    this.figures.add(`${name}: p50`, 'ms', as, result.p50);
    this.figures.add(`${name}: p99`, 'ms', as, result.p99);
    this.#addCosts(as, name, spent, result.published);
  }

  async replay({ as, server, load }: Side): Promise<void> {
    // The ordinary set-up has nothing to replay from.
    if (as === 'ordinary') return;
    for (const [missed, times] of REPLAYS) {
      const { result, spent } = await this.#meters.during(server, () =>
        load.ask('replay', { missed, times }),
      );
      const name = `replay of ${withComma(missed)}`;
      this.figures.add(name, 'ms', as, median(result));
      this.#addCosts(as, `${name}, each`, spent, missed * times);
    }
  }

  /** What a user does besides listening, for docs/scaling.md; nobody listens meanwhile. */
  async others({ as, server, load }: Side): Promise<void> {
    if (as !== 'chatkeep') return;
    await load.ask('close', { from: 0, users: this.users + 1 });
    const sent = await this.#meters.during(server, () => load.ask('send', MESSAGES));
    this.#addCosts(as, 'message with a short reply', sent.spent, MESSAGES.times);
    for (const again of [false, true]) {
      const { spent } = await this.#meters.during(server, () =>
        load.ask('read', { pages: PAGES, again }),
      );
      this.#addCosts(as, again ? 'page of 50, cached' : 'page of 50, not cached', spent, PAGES);
    }
    this.costs.add('a message on disk beside its texts', 'bytes', as, await load.ask('storage'));
  }

  #addCosts(as: Contender, name: string, spent: Spent, times: number): void {
    this.costs.add(`${name}: the server's CPU`, 'µs', as, spent.server / times);
    this.costs.add(`${name}: PostgreSQL's CPU`, 'µs', as, spent.postgres / times);
    this.costs.add(`${name}: Redis' CPU`, 'µs', as, spent.redis / times);
  }
}

const serverOf = (as: Contender) =>
  startRemote<Contestant>(builtFile(`contestants/${as}`), ['--expose-gc']);
