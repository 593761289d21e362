import fc from 'fast-check';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { type Installation, startInstallation } from '../kit/installation.ts';
import { isLong, times } from '../kit/promises.ts';
import { redisAvailable } from '../kit/redis.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { report } from '../kit/trials.ts';
import { calm } from './model/commands.ts';
import { close, expectAll } from './model/end.ts';
import { crashPostgres, hurt } from './model/parts.ts';
import { seeds } from './model/texts.ts';
import {
  createWorld,
  runsOf,
  type Faults,
  type Parts,
  type Server,
  type World,
} from './model/world.ts';

/*
 * Random commands of two users against a plain model of their histories: what is read at any time, through
 * any server, is what the model says. A run that failed prints the shortest commands that fail too, and how
 * to have them again: SEED=… RUN=… REPLAY=… with the name of the test (RUN is fast-check's path, REPLAY its
 * replayPath). The commands come again exactly; what the machine makes of them at the same time does not.
 */
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000_007);
const { RUN: path, REPLAY: replayPath } = process.env;
/** For what fails and becomes shorter. */
const ALL_THE_TIME = { timeout: 400_000 };
const MAX_COMMANDS = 30;
/** Runs beside each other. Each run has a seed of its own. */
const LANES = 2;
/** For a run that fails, to become shorter; no run that goes well takes as long. */
const SHRINK_MS = 100_000;

/** Servers in this process look at replies that nobody writes often, so that nobody has to wait. */
const replyTiming = { heartbeatMs: 200, sweepMs: 100, progressMs: 50, pollMs: 100 };

interface Started extends Server {
  restart(): Promise<void>;
  stop(): Promise<void>;
}

async function startHere(env: Installation['env']): Promise<Started> {
  const database = { url: env.DATABASE_URL, ownerUrl: env.MIGRATION_DATABASE_URL };
  const start = () =>
    startServer({
      env: { ...env, LOG_LEVEL: 'silent' },
      replyTiming,
      beside: { database, dataDir: env.DATA_DIR },
    });
  let server: TestServer = await start();
  return {
    get url() {
      return server.url;
    },
    get wsUrl() {
      return server.wsUrl;
    },
    async restart() {
      await server.stop();
      server = await start();
    },
    stop: () => server.stop(),
  };
}

describe.runIf(redisAvailable)('a history', () => {
  let chatkeep: Installation;
  let owner: postgres.Sql;
  let parts: Parts;
  let alone: Parts;
  const onStop: (() => unknown)[] = [];

  beforeAll(async () => {
    // One serves, the other is there to take its place.
    chatkeep = await startInstallation({ members: 2 });
    onStop.push(() => chatkeep.stop());
    const { postgres: database, gemini, redis, redisGate, postgresGate, env } = chatkeep;
    owner = postgres(database.ownerUrl, { max: 4, onnotice: () => {} });
    onStop.push(() => owner.end());
    // Nobody here pulls the plug: what a process has written outlives the process.
    await owner`alter system set fsync = off`;
    await owner`select pg_reload_conf()`;
    const replies: Parts['replies'] = new Map();
    gemini.choose((words) => {
      const reply = replies.get(/#\S+$/.exec(words)?.[0] ?? '');
      if (reply) reply.asked += 1;
      return reply?.behaviour;
    });
    const here = await Promise.all([startHere(env), startHere(env)]);
    for (const server of here) onStop.push(() => server.stop());
    let [inUse, spare] = chatkeep.members;
    let started = Promise.resolve();
    const process: Server = {
      get url() {
        return inUse?.url ?? '';
      },
      get wsUrl() {
        return inUse?.wsUrl ?? '';
      },
    };
    let state: 'up' | 'frozen' | 'killed' = 'up';
    const healRedis = async () => {
      if (state === 'frozen') redis.thaw();
      if (state === 'killed') await redis.start();
      state = 'up';
    };
    const faults: Faults = {
      restart: (server) => here[server]?.restart() ?? Promise.resolve(),
      async kill() {
        await started;
        const killed = inUse;
        [inUse, spare] = [spare, inUse];
        await killed?.kill();
        started = killed?.start() ?? Promise.resolve();
      },
      healRedis,
      async killRedis() {
        await healRedis();
        await redis.kill();
        state = 'killed';
      },
      async freezeRedis() {
        await healRedis();
        redis.freeze();
        state = 'frozen';
      },
      async flushRedis() {
        if (state === 'up') await redis.client.flushall();
      },
      async killSubscribers() {
        if (state === 'up') await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      },
      cutRedis: () => redisGate.cut(),
      // A server that starts gives up without PostgreSQL; that is its supervisor's business.
      async cutPostgres() {
        await started;
        postgresGate.cut();
      },
      async terminateBackends() {
        await started;
        return database.terminateBackends();
      },
      async crashPostgres() {
        await started;
        await database.stopAtOnce();
        await database.start();
      },
    };
    onStop.push(healRedis, () => started);
    parts = {
      servers: [...here, process],
      owner,
      replies,
      endLease: async (userId) => {
        if (state === 'up') await redis.client.del(`chat:seq:{${userId}}`);
      },
      faults,
      hurtUntil: 0,
      counts: new Map(),
    };
    const { REDIS_URL: _, ...withoutRedis } = env;
    const solo = await startHere(withoutRedis as Installation['env']);
    onStop.push(() => solo.stop());
    alone = { ...parts, servers: [solo], endLease: async () => {}, faults: undefined };
  });
  afterAll(async () => {
    for (const stopPart of onStop.splice(0).reverse()) await stopPart();
  });

  const commandsRun = () =>
    [...parts.counts].reduce((sum, [name, n]) => (/^\w+$/.test(name) ? sum + n : sum), 0);

  async function run(world: World, commands: Iterable<fc.AsyncCommand<World, World>>) {
    try {
      await fc.asyncModelRun(() => ({ model: world, real: world }), commands);
      await expectAll(world);
    } finally {
      close(world);
    }
  }

  /** Runs until the time is over; answers what was wrong. */
  async function drive(
    on: Parts,
    commands: fc.Arbitrary<fc.AsyncCommand<World, World>>[],
    { seed, ms }: { seed: number; ms: number },
  ): Promise<string[]> {
    const some = fc.commands(commands, {
      maxCommands: MAX_COMMANDS,
      size: 'max',
      ...(replayPath && { replayPath }),
    });
    const property = fc.asyncProperty(fc.tuple(seeds, seeds), some, async (rows, chosen) => {
      await on.faults?.healRedis();
      await run(await createWorld(on, rows), chosen);
    });
    for (const until = performance.now() + ms; performance.now() < until; seed += LANES) {
      const result = await fc.check(property, {
        seed,
        numRuns: 1,
        unbiased: true,
        interruptAfterTimeLimit: SHRINK_MS,
        ...(path && { path }),
      });
      if (path && !result.failed) return [];
      if (!result.failed) continue;
      const [rows, chosen] = result.counterexample ?? [];
      const replay = /replayPath="([^"]*)"/.exec(String(chosen))?.[1];
      return [
        `${String(result.errorInstance)}\n  before: ${JSON.stringify(rows)}\n  commands: ${chosen}
  again: SEED=${result.seed} RUN=${result.counterexamplePath} REPLAY=${replay} (${result.numShrinks} shrinks)`,
      ];
    }
    return [];
  }

  /** Lanes go beside each other: each run has users of its own. */
  async function compare(
    task: TestContext['task'],
    on: Parts,
    commands: fc.Arbitrary<fc.AsyncCommand<World, World>>[],
    { ms, lanes = 1 }: { ms: number; lanes?: number },
  ): Promise<void> {
    const before = [commandsRun(), runsOf(on)] as const;
    const seeds = Array.from({ length: path ? 1 : lanes }, (_, lane) => SEED + lane);
    const violations = await Promise.all(seeds.map((seed) => drive(on, commands, { seed, ms })));
    const runs = { trials: runsOf(on) - before[1], of: 'runs', violations: [] };
    report({ task }, 'model', runs);
    const trials = commandsRun() - before[0];
    report({ task }, 'model', { trials, of: 'commands', violations: violations.flat() });
  }

  it(`is the model's on three servers, SEED=${SEED}`, ALL_THE_TIME, async ({ task }) => {
    await compare(task, parts, calm, { ms: times(2_000, 25_000), lanes: LANES });
    if (isLong) expect(parts.counts.get('cache: hit')).toBeGreaterThan(0);
  });

  it(`is the model's on one server without Redis, SEED=${SEED}`, ALL_THE_TIME, ({ task }) =>
    compare(task, alone, calm, { ms: times(500, 8_000) }),
  );

  it(`is the model's while the parts are hurt, SEED=${SEED}`, ALL_THE_TIME, async ({ task }) => {
    const commands = isLong ? [...hurt, crashPostgres] : hurt;
    await compare(task, parts, commands, { ms: times(2_500, 30_000) });
  });
});
