import type { Bench } from '../kit/bench.ts';
import { type Costs, readCosts } from './costs.ts';

/*
 * Arithmetic, not a measurement: what was measured on one machine for each thing, times how often it
 * happens. docs/scaling.md explains it.
 */

/** How people are taken to behave; change a line and run it again. */
const PEOPLE = {
  onlineAtPeak: 0.1,
  devicesOnline: 1.5,
  messagesADay: 10,
  /** The busiest hour against the mean of the day. */
  peakFactor: 3,
  messageBytes: 120,
  replyBytes: 1_200,
  /** A hundred characters a second; pieces are joined to at most 30 a second. */
  replySeconds: 12,
  piecesASecond: 30,
  pagesADay: 20,
  hitRate: 0.7,
  /** Who reads at all on a day, and how many pages of theirs are cached then. */
  readersADay: 0.3,
  pagesCached: 1.3,
};

/** What one of each is taken to bear. */
const ONE = {
  /** How busy it may be; the rest is for bursts, and for a neighbour that went away. */
  load: 0.6,
  socketsAProcess: 20_000,
  lanesAProcess: 10,
  redisGb: 64,
  redisConnections: 10_000,
  postgresCores: 16,
  postgresTb: 4,
  postgresConnections: 500,
};

const STEPS = [1_000, 1_000_000, 100_000_000];
const SECONDS_A_DAY = 86_400;
const CHANGES_A_MESSAGE = 2;
/** Bytes of frames beside the texts of messages, and of what TCP and IP add. */
const PIECE_BYTES = 225;
const CHANGE_BYTES = 250;
const PACKET_BYTES = 66;
const PAGE_LENGTH = 50;

const textBytes = PEOPLE.messageBytes + PEOPLE.replyBytes;

/** How often things happen in a second of the busiest hour. */
function trafficOf(users: number) {
  const aSecond = (aDay: number) => ((users * aDay) / SECONDS_A_DAY) * PEOPLE.peakFactor;
  const messages = aSecond(PEOPLE.messagesADay);
  const pages = aSecond(PEOPLE.pagesADay);
  return {
    users,
    sockets: users * PEOPLE.onlineAtPeak * PEOPLE.devicesOnline,
    messages,
    pieces: messages * PEOPLE.replySeconds * PEOPLE.piecesASecond,
    changes: messages * CHANGES_A_MESSAGE,
    /** The text so far, stored once a second while a reply is being written. */
    progress: messages * (PEOPLE.replySeconds - 1),
    pages,
    hits: pages * PEOPLE.hitRate,
    misses: pages * (1 - PEOPLE.hitRate),
  };
}

type Traffic = ReturnType<typeof trafficOf>;

/** Cores of server processes. */
function serverCpu(t: Traffic, costs: Costs) {
  // With many processes each of a user's devices is on another one, which hears and reads for itself.
  const toOne = (toThree: number) => Math.max(costs.delivery, toThree - 2 * costs.delivery);
  const piece = PEOPLE.devicesOnline * toOne(costs.pieceServer) + costs.publishServer;
  const parts = {
    pieces: (t.pieces * piece) / 1e6,
    changes: (t.changes * PEOPLE.devicesOnline * toOne(costs.changeServer)) / 1e6,
    messages: (t.messages * costs.messageServer) / 1e6,
    pages: (t.misses * costs.missServer + t.hits * costs.hitServer) / 1e6,
    pings: (t.sockets * costs.idleSocket) / 1e6,
  };
  return { ...parts, all: Object.values(parts).reduce((sum, part) => sum + part) };
}

const redisCpu = (t: Traffic, costs: Costs) =>
  (t.pieces * costs.pieceRedis +
    t.changes * costs.changeRedis +
    t.messages * costs.messageRedis +
    t.misses * costs.missRedis +
    t.hits * costs.hitRedis) /
  1e6;

const postgresCpu = (t: Traffic, costs: Costs) =>
  (t.messages * costs.messagePostgres +
    t.progress * costs.storePostgres +
    t.changes * PEOPLE.devicesOnline * costs.changePostgres +
    t.misses * costs.missPostgres) /
  1e6;

function networkGbit(t: Traffic): number {
  const piece = PIECE_BYTES + PACKET_BYTES;
  const change = CHANGE_BYTES + textBytes + PACKET_BYTES;
  const deliveries = PEOPLE.devicesOnline * (t.pieces * piece + t.changes * change);
  return (8 * (deliveries + t.pages * PAGE_LENGTH * (textBytes + CHANGE_BYTES))) / 1e9;
}

/** What so many users need: each kind of machine by what may be short first. */
function needOf(users: number, costs: Costs) {
  const t = trafficOf(users);
  const cpu = serverCpu(t, costs);
  const cacheGb =
    (users * PEOPLE.readersADay * PEOPLE.pagesCached * PAGE_LENGTH * (textBytes + CHANGE_BYTES)) /
    1e9;
  const tbAYear = (users * PEOPLE.messagesADay * 365 * (textBytes + costs.rowBytes)) / 1e12;
  const processes = [cpu.all / ONE.load, t.sockets / ONE.socketsAProcess] as const;
  return {
    ...t,
    cpu,
    processes,
    socketGb: (t.sockets * costs.socketKb) / 1e6,
    masters: [redisCpu(t, costs) / ONE.load, cacheGb / (ONE.redisGb * ONE.load)] as const,
    cacheGb,
    nodes: [
      postgresCpu(t, costs) / (ONE.postgresCores * ONE.load),
      tbAYear / ONE.postgresTb,
    ] as const,
    tbAYear,
    lanes: whole(processes) * ONE.lanesAProcess,
    gbit: networkGbit(t),
  };
}

type Need = ReturnType<typeof needOf>;

/** How many machines, at least one. */
const whole = (parts: readonly number[]) => Math.max(1, Math.ceil(Math.max(...parts)));

const ROWS: readonly (readonly [string, (need: Need) => string])[] = [
  ['sockets at peak', (n) => round(n.sockets)],
  ['messages a second', (n) => round(n.messages)],
  ['hints through Redis a second', (n) => round(n.pieces + n.changes)],
  ['deliveries a second', (n) => round((n.pieces + n.changes) * PEOPLE.devicesOnline)],
  ['pages of history a second', (n) => round(n.pages)],
  ['to the clients, Gbit a second', (n) => round(n.gbit)],
  ['**server processes**, one core each', (n) => `**${round(whole(n.processes))}**`],
  ['… for CPU / for sockets', (n) => n.processes.map(round).join(' / ')],
  [
    '… CPU that goes to pieces of replies',
    (n) => `${Math.round((100 * n.cpu.pieces) / n.cpu.all)} %`,
  ],
  ['… memory of idle sockets, GB', (n) => round(n.socketGb)],
  ['**Redis masters**', (n) => `**${round(whole(n.masters))}**`],
  ['… for CPU / for cached pages', (n) => n.masters.map(round).join(' / ')],
  ['… cached pages, GB', (n) => round(n.cacheGb)],
  ['**PostgreSQL nodes**, 16 cores and 4 TB', (n) => `**${round(whole(n.nodes))}**`],
  ['… for CPU / for a year of messages', (n) => n.nodes.map(round).join(' / ')],
  ['… writes a second', (n) => round(n.messages * 2 + n.progress)],
  ['… reads a second', (n) => round(n.messages + n.changes * PEOPLE.devicesOnline + n.misses)],
  ['… TB a year', (n) => round(n.tbAYear)],
  ['… connections, ten a process', (n) => round(n.lanes)],
];

/** At how many users one of each is full: all of it grows in proportion. */
function limitsOf({ users, processes, masters, nodes }: Need) {
  const most = Math.max(...processes);
  const limits: readonly (readonly [string, number])[] = [
    ["one server process' CPU", processes[0]],
    [`${round(ONE.socketsAProcess)} sockets on one process`, processes[1]],
    ["one Redis' CPU", masters[0]],
    [`${ONE.redisGb} GB of Redis with cached pages`, masters[1]],
    [`one PostgreSQL's ${ONE.postgresCores} cores`, nodes[0]],
    [`one PostgreSQL's ${ONE.postgresTb} TB, after a year`, nodes[1]],
    [
      `${ONE.postgresConnections} connections of PostgreSQL without a pooler`,
      (most * ONE.lanesAProcess) / ONE.postgresConnections,
    ],
    [
      `${round(ONE.redisConnections)} connections of each Redis, two a process`,
      (most * 2) / ONE.redisConnections,
    ],
  ];
  return limits
    .map(([what, share]) => ({ what, users: users / share }))
    .sort((x, y) => x.users - y.users);
}

/** Two digits that count. */
function round(n: number): string {
  if (n >= 1e6) return `${Number((n / 1e6).toPrecision(2))} M`;
  if (n >= 1e4) return `${Number((n / 1e3).toPrecision(2))} k`;
  return String(Number(n.toPrecision(2)));
}

/** What 1 thousand, 1 million and 100 million users need, and what is short first. */
export async function scale({ progress }: Bench): Promise<undefined> {
  const { costs, from } = await readCosts();
  const needs = STEPS.map((users) => needOf(users, costs));
  progress('');
  const say = (line: string) => process.stdout.write(`${line}\n`);
  say(`\nCosts: ${from}. Nothing beyond one machine was measured.\n`);
  say(`| users | ${STEPS.map(round).join(' | ')} |`);
  say(`|---|${STEPS.map(() => '--:').join('|')}|`);
  for (const [name, cell] of ROWS) say(`| ${name} | ${needs.map(cell).join(' | ')} |`);
  say('\nOne of each is full at:\n');
  for (const { what, users } of limitsOf(needs[0] as Need)) {
    say(`- ${round(users)} users: ${what}`);
  }
  return undefined;
}
