import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Redis } from 'ioredis';
import { freePort } from './ports.ts';
import { type Gate, startGate } from './gate.ts';

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
  /** Thawed, started, empty and with memory again, whatever a test did to it. */
  heal(): Promise<void>;
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

  const isRunning = () => child.exitCode === null && child.signalCode === null;

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
    async heal() {
      child.kill('SIGCONT');
      if (!isRunning()) await start();
      await client.config('SET', 'maxmemory', '0');
      await client.flushall();
    },
    async stop() {
      client.disconnect();
      child.kill('SIGCONT');
      if (isRunning()) await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** What REDIS_URL can name: one Redis, or a Cluster. */
export interface RedisSetup {
  /** As in REDIS_URL: of a Cluster a comma-separated list. */
  readonly url: string;
  readonly nodes: readonly RedisServer[];
  /** Which node has the keys and the channel of a user. */
  nodeOf(userId: string): RedisServer;
  /** A new user of that node's. */
  userOn(node: RedisServer): string;
  /** The channels to which somebody listens, in order. */
  channels(): Promise<string[]>;
  /** Of all nodes, in order. */
  keys(pattern: string): Promise<string[]>;
  /** Only with `proxied`: nothing comes over any subscriber's connection any more, and all stay open. */
  silenceSubscribers(): void;
  /** As it was at its start, whatever a test did to its nodes. */
  heal(): Promise<void>;
  stop(): Promise<void>;
}

export interface RedisCluster extends RedisSetup {
  /** As an operator moves a slot without keys: the user's, for the nodes that are told in this order. */
  giveSlot(userId: string, to: RedisServer, told: readonly RedisServer[]): Promise<void>;
  addReplicaOf(master: RedisServer): Promise<RedisServer>;
}

export interface SetupOptions {
  /** Of redis-server. */
  readonly flags?: readonly string[];
  /** Everybody but the tests' own clients comes through proxies. */
  readonly proxied?: boolean;
}

const SUBSCRIBES = /\bs?subscribe\b/i;

/** For `describe.each`: what holds on one Redis has to hold on a Cluster, whatever of it is hurt. */
export const redisForms = [
  { form: 'one Redis', start: startOneRedis, parts: ['it'] },
  {
    form: 'a Redis Cluster of three masters',
    start: startRedisCluster,
    parts: ['one master of it', 'all of it'],
  },
];

/** For `it.each`: what can happen to each part. */
export const misfortunes = (parts: readonly string[]): [part: string, how: 'frozen' | 'killed'][] =>
  parts.flatMap((part) => [
    [part, 'frozen'],
    [part, 'killed'],
  ]);

/** Lets it happen, and answers the way to end it. Of a Cluster's masters it is the last one. */
export async function hurt({ nodes }: RedisSetup, part: string, how: 'frozen' | 'killed') {
  const those = part === 'one master of it' ? nodes.slice(-1) : nodes;
  if (how === 'frozen') for (const node of those) node.freeze();
  else await Promise.all(those.map((node) => node.kill()));
  return async () => {
    if (how === 'frozen') for (const node of those) node.thaw();
    else await Promise.all(those.map((node) => node.start()));
  };
}

async function startOneRedis({ flags = [], proxied = false }: SetupOptions = {}) {
  const node = await startRedis(...flags);
  const gate = proxied ? await startGate(node.url, { mark: SUBSCRIBES }) : undefined;
  const setup: RedisSetup = {
    url: gate?.url ?? node.url,
    nodes: [node],
    nodeOf: () => node,
    userOn: () => randomUUID(),
    channels: async () => ((await node.client.pubsub('CHANNELS')) as string[]).sort(),
    keys: async (pattern) => (await node.client.keys(pattern)).sort(),
    silenceSubscribers: () => gate?.blackHole('marked'),
    heal: node.heal,
    async stop() {
      await node.stop();
      gate?.close();
    },
  };
  return setup;
}

const SLOTS = 16_384;
const NODE_TIMEOUT_MS = '1000';

const slotOf = (userId: string) => new Command('get', [`{${userId}}`]).getSlot() as number;

const ownerOf = (nodes: readonly RedisServer[], userId: string) =>
  nodes[Math.floor(((slotOf(userId) + 1) * nodes.length - 1) / SLOTS)] as RedisServer;

/** Three masters that share the slots, and no replicas: one that is away takes its slots with it. */
export async function startRedisCluster(options: SetupOptions = {}): Promise<RedisCluster> {
  const { flags = [], proxied = false } = options;
  const nodes: RedisServer[] = [];
  const replicas: RedisServer[] = [];
  const gates: Gate[] = [];

  /** Lets a node join that has no slots yet. */
  async function add(to: RedisServer[]): Promise<RedisServer> {
    const busPort = await freePort();
    const own = ['--cluster-enabled', 'yes', '--cluster-node-timeout', NODE_TIMEOUT_MS];
    own.push('--cluster-port', `${busPort}`);
    if (proxied) {
      const gate = await startGate(() => node.url, { mark: SUBSCRIBES });
      gates.push(gate);
      own.push('--cluster-announce-port', `${gate.port}`);
    }
    const node: RedisServer = await startRedis(...own, ...flags);
    to.push(node);
    if (nodes[0] !== node) {
      await nodes[0]?.client.call('CLUSTER', 'MEET', '127.0.0.1', node.port, `${busPort}`);
    }
    return node;
  }

  for (let i = 0; i < 3; i += 1) await add(nodes);
  for (const [i, { client }] of nodes.entries()) {
    const [first, next] = [i, i + 1].map((n) => Math.floor((SLOTS * n) / nodes.length));
    await client.call('CLUSTER', 'ADDSLOTSRANGE', first as number, (next as number) - 1);
  }
  const agreed = async () => {
    const infos = await Promise.all(nodes.map(({ client }) => client.cluster('INFO')));
    return infos.every((info) => /cluster_state:ok/.test(info) && /cluster_size:3/.test(info));
  };
  const settled = async () => {
    while (!(await agreed())) await sleep(20);
  };
  const ofAll = async (ask: (client: Redis) => Promise<unknown>) =>
    ((await Promise.all(nodes.map(({ client }) => ask(client)))) as string[][]).flat().sort();

  await settled();
  return {
    url: (proxied ? gates : nodes).map(({ url }) => url).join(),
    nodes,
    nodeOf: (userId) => ownerOf(nodes, userId),
    userOn(node) {
      for (;;) {
        const userId = randomUUID();
        if (ownerOf(nodes, userId) === node) return userId;
      }
    },
    channels: () => ofAll((client) => client.call('PUBSUB', 'SHARDCHANNELS')),
    keys: (pattern) => ofAll((client) => client.keys(pattern)),
    silenceSubscribers() {
      for (const gate of gates) gate.blackHole('marked');
    },
    async heal() {
      await Promise.all(nodes.map((node) => node.heal()));
      await settled();
    },
    async giveSlot(userId, to, told) {
      const id = await to.client.cluster('MYID');
      for (const { client } of told) {
        await client.call('CLUSTER', 'SETSLOT', slotOf(userId), 'NODE', id);
      }
    },
    async addReplicaOf(master) {
      const replica = await add(replicas);
      const id = await master.client.cluster('MYID');
      // It has to have heard of its master first.
      while ((await replica.client.cluster('REPLICATE', id).catch(() => 'no')) !== 'OK') {
        await sleep(20);
      }
      const synced = /master_link_status:up/;
      while (!synced.test(await replica.client.info('replication'))) await sleep(20);
      // And all of its vote.
      const known = async ({ client }: RedisServer) =>
        /slave/.test((await client.cluster('NODES')) as string);
      while (!(await Promise.all(nodes.map(known))).every(Boolean)) await sleep(20);
      return replica;
    },
    async stop() {
      for (const node of [...nodes, ...replicas]) await node.stop();
      for (const gate of gates) gate.close();
    },
  };
}
