import { exchangeOf } from '../kit/corpus.ts';
import { PAGE, PAGE_SIZE, SEARCH, SEND } from '../kit/http.ts';
import { serve } from '../kit/remote.ts';
import { percentile } from '../kit/statistics.ts';
import { type Answer, openHttp, requestOf } from './http-client.ts';
import { type Crowd, type Person, settle } from './people.ts';

/** What a person does next. */
export type Act = 'first page' | 'second page' | 'search' | 'send';

/** What was asked for at an even rate, whatever came back meanwhile. */
export interface Traffic {
  /** By act, from when its turn was, in ms. */
  readonly latencies: Readonly<
    Partial<Record<Act, { readonly p50: number; readonly p99: number }>>
  >;
  readonly requests: number;
  readonly reads: number;
  /** Reads of which Cache-Status said so. */
  readonly hits: number;
  /** How often the server said that it could not answer just then. */
  readonly refused: number;
}

export interface TrafficLoad {
  prepare(given: Crowd): Promise<void>;
  /** So many acts a second, each of another user, in these shares. */
  run(given: {
    url: string;
    aSecond: number;
    seconds: number;
    shares: Readonly<Partial<Record<Act, number>>>;
  }): Promise<Traffic>;
}

/** So many acts can be waiting for an answer; one more waits for its turn, which counts. */
const CONNECTIONS = 100;

let people: readonly Person[] = [];
let sent = 0;

const acts: Readonly<Record<Act, () => object>> = {
  'first page': () => ({ query: PAGE, variables: { first: PAGE_SIZE } }),
  'second page': () => ({ query: PAGE, variables: { first: PAGE_SIZE, offset: PAGE_SIZE } }),
  search: () => ({ query: SEARCH, variables: { query: 'government' } }),
  send: () => ({ query: SEND, variables: { message: exchangeOf(sent++).message } }),
};

function check({ status, head, body }: Answer): void {
  if (status === 200 && !body.includes('"errors"')) return;
  throw new Error(`It answered ${head}${body.toString().slice(0, 500)}`);
}

/** Which act is the nth: the shares hold for each hundred, in a fixed and mixed order. */
function actsOf(shares: Readonly<Partial<Record<Act, number>>>): readonly Act[] {
  const all = Object.entries(shares).flatMap(([act, share]) =>
    Array.from({ length: Math.round(100 * share) }, () => act as Act),
  );
  // 37 and 100 have no divisor in common.
  return all.map((_, i) => all[(37 * i) % all.length] as Act);
}

serve<TrafficLoad>({
  async prepare(crowd) {
    people = await settle(crowd);
  },

  async run({ url, aSecond, seconds, shares }) {
    const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => openHttp(url)));
    const order = actsOf(shares);
    const total = Math.round(aSecond * seconds);
    const latencies: Partial<Record<Act, number[]>> = {};
    let [n, reads, hits, refused] = [0, 0, 0, 0];
    const began = performance.now();
    await Promise.all(
      clients.map(async (client) => {
        for (;;) {
          const mine = n++;
          if (mine >= total) return;
          const turn = began + (1_000 * mine) / aSecond;
          const wait = turn - performance.now();
          if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
          // A timer may come a little early or late, which is not the server's.
          const asked = wait > 0 ? performance.now() : turn;
          const act = order[mine % order.length] as Act;
          // As if by chance; a prime number of steps comes to everybody.
          const person = people[(mine * 7_919) % people.length] as Person;
          const headers = {
            'content-type': 'application/json',
            accept: 'application/json',
            authorization: `Bearer ${person.token}`,
          };
          const answer = await client.ask(requestOf(url, headers, JSON.stringify(acts[act]())));
          if (answer.body.includes('SERVICE_UNAVAILABLE')) {
            refused += 1;
            continue;
          }
          check(answer);
          latencies[act] ??= [];
          latencies[act].push(performance.now() - asked);
          if (act === 'send') continue;
          reads += 1;
          if (/cache-status: chatkeep; hit/i.test(answer.head)) hits += 1;
        }
      }),
    );
    for (const client of clients) client.close();
    const summary = Object.entries(latencies).map(([act, all]) => {
      all.sort((a, b) => a - b);
      return [act, { p50: percentile(all, 0.5), p99: percentile(all, 0.99) }] as const;
    });
    return { latencies: Object.fromEntries(summary), requests: total, reads, hits, refused };
  },
});
