import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Balancer, startBalancer } from './balancer.ts';
import { type GeminiServer, startGeminiServer } from './gemini-server.ts';
import { type Gate, startGate } from './gate.ts';
import type { Timing } from './impatient-server.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { runServer, type ServerProcess } from './process.ts';
import { type RedisServer, startRedis } from './redis.ts';

/** One server process of an installation, which may be another one after `start`. */
export interface Member {
  readonly url: string;
  readonly wsUrl: string;
  readonly process: ServerProcess;
  /** Its own way to Redis; with `ownRedisGates` no other's. */
  readonly redisGate: Gate;
  /** All that each process of this place has printed. */
  output(): string;
  freeze(): void;
  thaw(): void;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
  /** A new process in its place; resolves once it serves. */
  start(): Promise<void>;
}

/** All of chatkeep as an operator runs it, with parts of its own that a test may break. */
export interface Installation {
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly gemini: GeminiServer;
  /** Between all servers and their PostgreSQL. */
  readonly postgresGate: Gate;
  /** Between all servers and their Redis; with `ownRedisGates` nobody comes through it. */
  readonly redisGate: Gate;
  readonly members: readonly Member[];
  /** In front of the members that serve; doors keep their address while members come and go. */
  readonly balancer: Balancer;
  /** What its servers are told. */
  readonly env: Readonly<Record<'DATA_DIR' | 'DATABASE_URL' | 'MIGRATION_DATABASE_URL', string>> &
    Readonly<Record<string, string>>;
  /** Ends everything, whatever a test did to it. */
  stop(): Promise<void>;
}

export interface InstallationOptions {
  /** How many server processes; default 1. */
  readonly members?: number;
  /** Shorter times than the product's own. */
  readonly timing?: Timing;
  /** Of redis-server. */
  readonly redisFlags?: readonly string[];
  /** Gives each member a way to Redis of its own. */
  readonly ownRedisGates?: boolean;
  /** Beside what the installation sets itself. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const onStop: (() => unknown)[] = [];
  const stop = async () => {
    for (const stopPart of onStop.splice(0).reverse()) await stopPart();
  };
  try {
    const dataDir = await mkdtemp(join(tmpdir(), 'chatkeep-installation-'));
    onStop.push(() => rm(dataDir, { recursive: true, force: true }));
    const postgres = await startPostgres();
    onStop.push(() => postgres.stop());
    const redis = await startRedis(...(options.redisFlags ?? []));
    onStop.push(() => redis.stop());
    const gemini = await startGeminiServer();
    onStop.push(() => gemini.stop());
    const postgresGate = await startGate(postgres.url);
    onStop.push(() => postgresGate.close());
    const redisGate = await startGate(redis.url);
    onStop.push(() => redisGate.close());
    const balancer = startBalancer();
    onStop.push(() => balancer.close());
    const env = {
      DATA_DIR: dataDir,
      DATABASE_URL: postgresGate.url,
      MIGRATION_DATABASE_URL: postgres.ownerUrl,
      REDIS_URL: redisGate.url,
      GEMINI_API_KEY: 'test-key',
      GEMINI_BASE_URL: gemini.url,
      RATE_LIMIT_PER_MINUTE: '1000000',
      LOG_LEVEL: 'warn',
      ...options.env,
    };
    const members: Member[] = [];
    for (let i = 0; i < (options.members ?? 1); i += 1) {
      let gate = redisGate;
      if (options.ownRedisGates) {
        gate = await startGate(redis.url);
        onStop.push(() => gate.close());
      }
      const itsEnv = { ...env, ...(options.ownRedisGates && { REDIS_URL: gate.url }) };
      members.push(createMember(itsEnv, balancer, gate, options.timing));
    }
    onStop.push(() => Promise.all(members.map((member) => member.kill())));
    await Promise.all(members.map((member) => member.start()));
    return { postgres, redis, gemini, postgresGate, redisGate, members, balancer, env, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function createMember(
  env: Readonly<Record<string, string>>,
  { targets }: Balancer,
  redisGate: Gate,
  timing?: Timing,
): Member {
  let server: ServerProcess | undefined;
  let address: { url: string; wsUrl: string } | undefined;
  let said = '';

  const running = () => {
    if (!server || !address) throw new Error('This server was not started.');
    return { server, address };
  };
  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const { server, address } = running();
    server.child.kill('SIGCONT');
    server.child.kill(signal);
    const code = await server.exited;
    if (targets.includes(address.url)) targets.splice(targets.indexOf(address.url), 1);
    return code;
  }

  return {
    redisGate,
    get url() {
      return running().address.url;
    },
    get wsUrl() {
      return running().address.wsUrl;
    },
    get process() {
      return running().server;
    },
    output: () => said + (server?.output() ?? ''),
    freeze: () => running().server.child.kill('SIGSTOP'),
    thaw: () => running().server.child.kill('SIGCONT'),
    async kill() {
      if (server) await end('SIGKILL').catch(() => {});
    },
    stop: () => end('SIGTERM'),
    async start() {
      said += server?.output() ?? '';
      server = runServer(env, timing);
      address = await server.serving();
      targets.push(address.url);
    },
  };
}
