import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const binary = ['redis-server', 'valkey-server'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** Whether this machine can run the tests that need Redis. */
export const redisAvailable = binary !== undefined;

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** A client of the test's own. */
  readonly client: Redis;
  /** SIGSTOP: the connections stay, nothing answers. */
  freeze(): void;
  thaw(): void;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Again on the same port, with what it had written to disk. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedis(...flags: string[]): Promise<RedisServer> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), 'chatkeep-redis-'));
  const client = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    retryStrategy: () => 50,
  } as never);
  client.on('error', () => {});
  let child: ChildProcess;

  async function start(): Promise<void> {
    const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', '', ...flags];
    child = spawn(binary as string, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of child.stdout ?? []) {
      if (/Ready to accept connections/.test(String(line))) break;
    }
    child.stdout?.resume();
    if (client.status === 'wait') await client.connect();
  }

  async function kill(): Promise<void> {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    client,
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    kill,
    start,
    async stop() {
      client.disconnect();
      child.kill('SIGCONT');
      if (child.exitCode === null && child.signalCode === null) await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export interface RedisCluster {
  /** As in REDIS_URL: a comma-separated list. */
  readonly url: string;
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

const SLOTS = 16_384;
const NODE_TIMEOUT_MS = '1000';

/** Three masters that share the slots, and no replicas: one that is away takes its slots with it. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  const busPorts: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    const busPort = await freePort();
    busPorts.push(busPort);
    const flags = ['--cluster-enabled', 'yes', '--cluster-port', `${busPort}`];
    nodes.push(await startRedis(...flags, '--cluster-node-timeout', NODE_TIMEOUT_MS));
  }
  for (const [i, { client, port }] of nodes.entries()) {
    const first = Math.floor((SLOTS * i) / 3);
    await client.call('CLUSTER', 'ADDSLOTSRANGE', first, Math.floor((SLOTS * (i + 1)) / 3) - 1);
    if (i > 0) await nodes[0]?.client.call('CLUSTER', 'MEET', '127.0.0.1', port, `${busPorts[i]}`);
  }
  const agreed = async () => {
    const infos = await Promise.all(nodes.map(({ client }) => client.cluster('INFO')));
    return infos.every((info) => /cluster_state:ok/.test(info) && /cluster_size:3/.test(info));
  };
  while (!(await agreed())) await sleep(20);
  return {
    url: nodes.map(({ url }) => url).join(','),
    nodes,
    async stop() {
      for (const node of nodes) await node.stop();
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
