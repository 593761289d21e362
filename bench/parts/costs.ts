import { readFile } from 'node:fs/promises';
import type { Figure } from '../kit/bench.ts';
import { median } from '../kit/statistics.ts';
import type { Contender } from '../load/events.ts';
import { RATES } from './events.ts';

/** What each thing costs: CPU in µs if not said otherwise. Taken where nothing was measured. */
const DEFAULTS = {
  /** A piece of a reply to one user's three devices, and a stored change. */
  pieceServer: 200,
  pieceRedis: 40,
  changeServer: 1_500,
  changePostgres: 400,
  changeRedis: 95,
  storePostgres: 500,
  /** To one more device. */
  delivery: 35,
  /** Not measured: to join a piece and to hand it to Redis. */
  publishServer: 40,
  /** In µs a second, and in KB. */
  idleSocket: 5,
  socketKb: 13,
  messageServer: 9_000,
  messagePostgres: 2_000,
  messageRedis: 550,
  missServer: 1_800,
  missPostgres: 300,
  missRedis: 180,
  hitServer: 1_500,
  hitRedis: 170,
  /** Bytes of a message on disk beside its texts. */
  rowBytes: 400,
};

export type Costs = { readonly [K in keyof typeof DEFAULTS]: number };

/** Which figure of the part `events` is which cost, and of whom if not of chatkeep. */
const MEASURED: Partial<Record<keyof Costs, readonly [string, Contender?]>> = {
  pieceServer: ["piece to 3 devices: the server's CPU"],
  pieceRedis: ["piece to 3 devices: Redis' CPU"],
  changeServer: ["change to 3 devices: the server's CPU"],
  changePostgres: ["change to 3 devices: PostgreSQL's CPU"],
  changeRedis: ["change to 3 devices: Redis' CPU"],
  // In the bare server's window changes are stored, but not read.
  storePostgres: ["change to 3 devices: PostgreSQL's CPU", 'bare'],
  delivery: ['piece to 3 devices: CPU a delivery', 'bare'],
  idleSocket: ['CPU of an idle socket'],
  socketKb: ['memory per idle socket, RSS'],
  messageServer: ["message with a short reply: the server's CPU"],
  messagePostgres: ["message with a short reply: PostgreSQL's CPU"],
  messageRedis: ["message with a short reply: Redis' CPU"],
  missServer: ["page of 50, not cached: the server's CPU"],
  missPostgres: ["page of 50, not cached: PostgreSQL's CPU"],
  missRedis: ["page of 50, not cached: Redis' CPU"],
  hitServer: ["page of 50, cached: the server's CPU"],
  hitRedis: ["page of 50, cached: Redis' CPU"],
  rowBytes: ['a message on disk beside its texts'],
};

const RESULTS = new URL('../results/events.json', import.meta.url);

interface Results {
  readonly figures: readonly Figure[];
  readonly costs: readonly Figure[];
  readonly at: string;
  readonly sockets: number;
}

/** The costs that the part `events` has measured, and where they are from. */
export async function readCosts(): Promise<{ costs: Costs; from: string }> {
  const text = await readFile(RESULTS, 'utf8').catch(() => undefined);
  if (!text) return { costs: DEFAULTS, from: 'the defaults: run the part events first' };
  const results = JSON.parse(text) as Results;
  const all = [...results.figures, ...results.costs];
  const costs = { ...DEFAULTS };
  for (const [cost, [name, contestant = 'chatkeep']] of Object.entries(MEASURED)) {
    const rounds = all.find((figure) => figure.name === name)?.values[contestant] ?? [];
    // What cannot be measured everywhere is null.
    const value = median(rounds.filter((round) => round !== null));
    if (Number.isFinite(value)) costs[cost as keyof Costs] = value;
  }
  // What the windows hold beside the events: the pings of all sockets, and the stores.
  const idle = costs.idleSocket * results.sockets;
  costs.pieceServer -= idle / RATES.delta;
  costs.changeServer -= idle / RATES.change;
  costs.changePostgres = Math.max(0, costs.changePostgres - costs.storePostgres);
  return { costs, from: `bench/results/events.json of ${results.at.slice(0, 10)}` };
}
