import { Redis, type RedisOptions } from 'ioredis';
import { attempt } from './attempt.ts';
import { type Examination, type Finding, fault, look, type Note, ok } from './finding.ts';
import { clockFinding, inMs, measureDistance, roundTripFinding } from './measure.ts';
import { isLocal, placeOf } from './place.ts';
import { reasonOf } from './reason.ts';
import { commandsFinding } from './redis-commands.ts';

const PATIENCE_MS = 1_500;
/** What takes longer counts as an outage to the server (src/redis.ts). */
const BREAKER_MS = 150;

export const redisExamination: Examination = {
  name: 'Redis',
  async run({ redisUrl }, note, signal) {
    if (!redisUrl) {
      note(ok('configured', 'no: cache and events are inside the process, of which there is one'));
      return;
    }
    const urls = redisUrl.split(',');
    const nodes = await Promise.all(urls.map((url) => examineNode(url, urls.length > 1, signal)));
    const isThere = nodes.some(({ findings }) => findings[0]?.verdict === 'ok');
    note(...merge(isThere ? nodes.map(spare) : nodes));
  },
};

interface Node {
  readonly where: string;
  readonly findings: readonly Finding[];
}

/** One node that is away is no fault where another leads to the Cluster. */
function spare({ where, findings }: Node): Node {
  const advice = 'The others lead to the Cluster: start it, or leave it out of REDIS_URL.';
  return {
    where,
    findings: findings.map((one) =>
      one.subject === 'reachable' && one.verdict === 'fault'
        ? look(one.subject, one.value, advice)
        : one,
    ),
  };
}

/** What is the same for all nodes of a Cluster is said once. */
function merge(nodes: readonly Node[]): Finding[] {
  const all = nodes.flatMap(({ where, findings }) =>
    findings.map((finding) => ({ where, finding })),
  );
  return [...new Set(all.map(({ finding }) => finding.subject))].flatMap((subject) => {
    const found = all.filter(({ finding }) => finding.subject === subject);
    const values = new Set(found.map(({ finding }) => finding.value));
    const alike = found.length === nodes.length && values.size === 1;
    return found
      .slice(0, alike ? 1 : found.length)
      .map(({ where, finding }) =>
        alike || finding.value.includes(where)
          ? finding
          : { ...finding, value: `${where}: ${finding.value}` },
      );
  });
}

async function examineNode(url: string, ofMany: boolean, signal: AbortSignal): Promise<Node> {
  const findings: Finding[] = [];
  const note: Note = (...more) => findings.push(...more);
  const where = placeOf(url);
  const { client, connect } = open(url, signal);
  try {
    const from = performance.now();
    await connect();
    note(ok('reachable', `${where}, in ${inMs(performance.now() - from)}`));
    await attempt('distance', note, async () => distanceFindings(client));
    await attempt('server', note, async () => serverFindings(await infoOf(client), url, ofMany));
    if (ofMany) await attempt('cluster', note, () => clusterFinding(client));
    await attempt('commands', note, () => commandsFinding(client, ofMany));
  } catch (error) {
    const advice = 'Without it chatkeep is slower, and goes on: start it, or set REDIS_URL right.';
    note(fault('reachable', `${where}: ${reasonOf(error)}`, advice));
  } finally {
    client.disconnect();
  }
  return { where, findings };
}

function open(url: string, signal: AbortSignal) {
  // ioredis' types do not allow for exactOptionalPropertyTypes.
  const options: RedisOptions & { replyMapping?: never } = {
    lazyConnect: true,
    retryStrategy: () => null,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: PATIENCE_MS,
    commandTimeout: PATIENCE_MS,
  };
  const client = new Redis(url, options);
  let lastError: Error | undefined;
  client.on('error', (error) => {
    lastError = error;
  });
  signal.addEventListener('abort', () => client.disconnect(), { once: true });
  return {
    client,
    async connect() {
      try {
        await client.connect();
        await client.ping();
      } catch (error) {
        // Connecting says no more than that the connection is closed.
        throw lastError ?? error;
      }
    },
  };
}

async function distanceFindings(client: Redis): Promise<Finding[]> {
  const distance = await measureDistance(async () => {
    const [seconds, microseconds] = await client.time();
    return Number(seconds) * 1000 + Number(microseconds) / 1000;
  });
  const { roundTripMs } = distance;
  if (roundTripMs < BREAKER_MS) return [roundTripFinding(distance), clockFinding(distance)];
  const advice = `After ${BREAKER_MS} ms chatkeep goes on without Redis: run them nearer to each other.`;
  return [fault('round trip', inMs(roundTripMs), advice), clockFinding(distance)];
}

type Info = (field: string) => string | undefined;

async function infoOf(client: Redis): Promise<Info> {
  const text = await client.info();
  const fields = new Map(
    text.split(/\r?\n/).map((line) => {
      const [name = '', ...rest] = line.split(':');
      return [name, rest.join(':')];
    }),
  );
  return (field) => fields.get(field);
}

function serverFindings(info: Info, url: string, ofMany: boolean): Finding[] {
  return [
    versionFinding(info),
    roleFinding(info, ofMany),
    formFinding(info, ofMany),
    memoryFinding(info),
    ok('persistence', isPersistent(info) ? 'on, and not needed' : 'none, and none is needed'),
    ...encryptionFindings(url),
  ];
}

function versionFinding(info: Info): Finding {
  const valkey = info('valkey_version');
  if (valkey) return ok('version', `Valkey ${valkey}`);
  const version = info('redis_version') ?? 'unknown';
  if (Number.parseInt(version, 10) >= 7) return ok('version', version);
  return fault('version', version, 'chatkeep needs Redis 7 or newer, or Valkey.');
}

function roleFinding(info: Info, ofMany: boolean): Finding {
  if (info('role') !== 'slave') return ok('role', 'master');
  // Of a Cluster any node leads to the others.
  if (ofMany) return ok('role', 'replica');
  return fault('role', 'replica', 'It takes no writes: name the master in REDIS_URL.');
}

function formFinding(info: Info, ofMany: boolean): Finding {
  const isCluster = info('cluster_enabled') === '1';
  if (isCluster === ofMany) return ok('form', isCluster ? 'Redis Cluster' : 'one Redis');
  if (isCluster) {
    const advice = 'Name two or more of its nodes in REDIS_URL, between commas.';
    return fault('form', 'a node of a Redis Cluster, as if it were alone', advice);
  }
  const advice = 'Name one Redis in REDIS_URL, or the nodes of one Redis Cluster.';
  return fault('form', 'one of several in REDIS_URL, and no Redis Cluster', advice);
}

function memoryFinding(info: Info): Finding {
  const policy = info('maxmemory_policy') ?? 'unknown';
  const used = info('used_memory_human') ?? 'unknown';
  if ((info('maxmemory') ?? '0') === '0') return ok('memory', `${used} used, no limit`);
  const value = `${used} used of ${info('maxmemory_human') ?? '?'}, ${policy}`;
  if (policy !== 'noeviction') return ok('memory', value);
  return look(
    'memory',
    value,
    'Once it is full it refuses writes, and chatkeep goes on without it: set maxmemory-policy allkeys-lru.',
  );
}

const isPersistent = (info: Info): boolean =>
  info('aof_enabled') === '1' || Number(info('rdb_saves') ?? 0) > 0;

function encryptionFindings(url: string): Finding[] {
  if (isLocal(url)) return [];
  if (new URL(url).protocol === 'rediss:') return [ok('encryption', 'TLS')];
  const advice = 'Anybody on the way reads cached pages: use rediss:// in REDIS_URL.';
  return [look('encryption', 'none on the way to another host', advice)];
}

async function clusterFinding(client: Redis): Promise<Finding> {
  const text = await client.cluster('INFO');
  const state = /cluster_state:(\w+)/.exec(text)?.[1] ?? 'unknown';
  const assigned = /cluster_slots_assigned:(\d+)/.exec(text)?.[1] ?? '0';
  if (state === 'ok') return ok('cluster', `state ok, ${assigned} slots`);
  return fault(
    'cluster',
    `state ${state}, ${assigned} of 16384 slots`,
    'It serves nobody until each slot has a master that is up: see cluster nodes.',
  );
}
