import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Report, Target } from '../kit/bench.ts';
import { createFigures } from '../kit/figures.ts';
import { OTHER_PAGES } from '../kit/http.ts';
import type { Remote } from '../kit/remote.ts';
import { linesOf } from '../kit/report.ts';
import { openStage, type Side, type Stage } from '../kit/stage.ts';
import type { Asked, Measured, PagesLoad } from '../load/pages.ts';

const CONTESTANTS: Readonly<Record<string, string>> = {
  floor: 'node:http that sends the bytes of a Redis key. No token check, no GraphQL.',
  chatkeep: 'The product, all of it switched on.',
  uncached: 'The product without its response cache, as it goes on while Redis is away.',
  yoga: "GraphQL Yoga with the product's schema, rows cached in Redis as JSON. The same token check.",
  mercurius: 'Mercurius with its JIT, likewise.',
  apollo: 'Apollo Server 5, likewise.',
  postgraphile:
    'PostGraphile 5 on the same table under the same row level security, on Node 24. A token check, no cache.',
  fastapi: 'The FastAPI design, rows cached in Redis as JSON. A token check, no GraphQL.',
};

/** What a miss is measured beside: the same rows by the same driver. */
const SELECT = 'select';

const CONNECTIONS = 32;
const MISS_CONNECTIONS = 8;
/** Whose pages are asked for again and again. */
const WARM = { from: 1, users: 100 };
/** Whose pages nobody has asked for: so many a contestant and round. */
const COLD = 300;
const MESSAGES = 60;
const WARM_UP_S = 1;
/** So many other pages of each of WARM's users are missed before misses are measured. */
const WARM_UP_PAGES = 20;

const HIT = 'history hit: requests a second';
const MISS = 'history miss: requests a second';

const TARGETS: Readonly<Record<string, Target>> = {
  [HIT]: { atLeast: 0.85 },
  'history hit, gzip: requests a second': { atLeast: 1.5 },
  'history hit, br: requests a second': { atLeast: 1.5 },
};

/** How many times what others serve the product promises to serve. */
const AHEAD: readonly (readonly [figure: string, of: string, times: number])[] = [
  [HIT, 'mercurius', 4],
  [HIT, 'yoga', 10],
  [HIT, 'apollo', 15],
  [HIT, 'fastapi', 5],
  [MISS, SELECT, 0.8],
  [MISS, 'postgraphile', 1],
  [MISS, 'mercurius', 1],
];

/** What a page of the history costs, in the cache and out of it, beside all that could serve it instead. */
export async function history(bench: Bench): Promise<Report> {
  const trial = await Trial.prepare(bench);
  await trial.compare();
  await trial.hits();
  await trial.misses();
  const figures = trial.figures.all();
  const contestants = Object.fromEntries(
    Object.entries({ ...CONTESTANTS, [SELECT]: SELECT_WORDS }).filter(([as]) => trial.has(as)),
  );
  const report: Report = {
    title: 'A page of 50 exchanges of the history, one process each',
    contestants,
    figures,
    notes: [],
  };
  return { ...report, notes: [...trial.notes, ...ahead(report)] };
}

const SELECT_WORDS =
  'node:http and the same SELECT by the same driver, as the owner of the table: no row level security, no GraphQL, no token check, no cache.';

/** The promises beside other servers than the floor. */
function ahead(report: Report): string[] {
  const lines = linesOf(report);
  return AHEAD.flatMap(([figure, of, times]) => {
    const cells = lines.find(({ name }) => name === figure)?.cells;
    const [ours, theirs] = [cells?.['chatkeep'], cells?.[of]];
    if (!ours || !theirs) return [];
    const ratio = ours.median / theirs.median;
    const kept = ratio >= times ? 'kept' : 'MISSED';
    return [`${figure}: ${ratio.toFixed(2)} times ${of}, promised ≥ ${times}: ${kept}`];
  });
}

class Trial {
  readonly figures = createFigures(TARGETS);
  readonly notes: string[] = [];
  readonly #bench: Bench;
  readonly #stage: Stage;
  readonly #load: Remote<PagesLoad>;
  /** Whose pages were never asked for begin here. */
  #cold = WARM.from + WARM.users;

  static async prepare(bench: Bench): Promise<Trial> {
    const stage = await openStage(bench);
    const names = bench.contestants ?? [...Object.keys(CONTESTANTS), SELECT];
    const users = WARM.from + WARM.users + names.length * bench.rounds * COLD;
    const load = await stage.askers({ users, messages: MESSAGES, manyMessages: MESSAGES });
    const trial = new Trial(bench, stage, load);
    for (const as of names) await trial.#enter(as);
    return trial;
  }

  private constructor(bench: Bench, stage: Stage, load: Remote<PagesLoad>) {
    this.#bench = bench;
    this.#stage = stage;
    this.#load = load;
  }

  has = (as: string): boolean => this.#stage.sides.some((side) => side.as === as);

  async #enter(as: string): Promise<void> {
    if (as === 'fastapi' && !fastapiAvailable()) {
      this.notes.push(
        "fastapi is left out: it needs Debian's python3-fastapi, python3-uvicorn, python3-asyncpg and python3-redis.",
      );
      return;
    }
    // It says a lot about itself otherwise.
    process.env['GRAPHILE_ENV'] ??= 'production';
    await this.#stage.enter(as);
  }

  /** All answer the same pages; the floor has them from the product. */
  async compare(): Promise<void> {
    this.#bench.progress('comparing the answers');
    const asked = ({ as, url }: Side): Asked => ({ as, url, from: WARM.from, users: 20 });
    const [first, ...others] = this.#stage.sides.filter(({ as }) => as !== 'floor');
    if (!first) return;
    await this.#load.ask('layFloor', { ...asked(first), ...WARM });
    const expected = await this.#load.ask('compare', asked(first));
    for (const side of others) {
      if ((await this.#load.ask('compare', asked(side))) === expected) continue;
      throw new Error(`${side.as} answers other pages than ${first.as}.`);
    }
  }

  async hits(): Promise<void> {
    const cached = this.#stage.sides.filter(({ as }) => as !== SELECT);
    for (const encoding of [undefined, 'gzip', 'br']) {
      const name = encoding ? `history hit, ${encoding}` : 'history hit';
      // Others do not compress: beside the plain floor.
      const sides = encoding
        ? cached.filter(({ as }) => as === 'floor' || as === 'chatkeep')
        : cached;
      await this.#stage.inTurn(name, sides, async (side) => {
        const asked = { ...side, ...WARM, ...(encoding && { encoding }) };
        const given = { ...asked, server: undefined, connections: CONNECTIONS };
        await this.#load.ask('hammer', { ...given, seconds: WARM_UP_S });
        await this.#measure(name, side, () =>
          this.#load.ask('hammer', { ...given, seconds: this.#bench.seconds }),
        );
      });
    }
  }

  async misses(): Promise<void> {
    const reading = this.#stage.sides.filter(({ as }) => as !== 'floor');
    const others = new Map(reading.map(({ as }) => [as, [...OTHER_PAGES]]));
    await this.#stage.inTurn('history miss', reading, async (side) => {
      const range = { from: this.#cold, users: COLD };
      this.#cold += COLD;
      const given = { as: side.as, url: side.url, connections: MISS_CONNECTIONS };
      // Right before: a process that has been idle for a minute has thrown compiled code away.
      for (const other of others.get(side.as)?.splice(0, WARM_UP_PAGES) ?? []) {
        await this.#load.ask('once', { ...given, ...WARM, ...other });
      }
      await this.#measure('history miss', side, () =>
        this.#load.ask('once', { ...given, ...range }),
      );
    });
  }

  async #measure(name: string, { as, server }: Side, run: () => Promise<Measured>): Promise<void> {
    await sleep(200);
    const { result, spent } = await this.#stage.meters.during(server, run);
    const { requests, seconds, p50, p99, bytes } = result;
    const add = (what: string, unit: string, value: number) =>
      this.figures.add(`${name}: ${what}`, unit, as, value);
    add('requests a second', '1/s', requests / seconds);
    add('CPU a request', 'µs', spent.server / requests);
    add('p50', 'ms', p50);
    add('p99', 'ms', p99);
    add('body', 'KB', bytes / 1_000);
  }
}

const fastapiAvailable = (): boolean =>
  ['fastapi', 'uvicorn', 'asyncpg', 'redis'].every((name) =>
    existsSync(`/usr/lib/python3/dist-packages/${name}`),
  );
