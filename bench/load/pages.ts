import { Redis } from 'ioredis';
import { FLOOR_KEY, PAGE, PAGE_AFTER, PAGE_OF_POSTGRAPHILE, PAGE_SIZE } from '../kit/http.ts';
import { serve } from '../kit/remote.ts';
import { percentile } from '../kit/statistics.ts';
import { type Answer, openHttp, requestOf } from './http-client.ts';
import { type Crowd, type Person, settle } from './people.ts';

/** Some users, by their place in the list. */
interface Range {
  readonly from: number;
  readonly users: number;
}

/** What is asked for, by whom, and of which server. */
export interface Asked extends Range {
  readonly url: string;
  readonly as: string;
  /** Accept-Encoding; none without. */
  readonly encoding?: string;
  /** How many exchanges a page has; default PAGE_SIZE. */
  readonly first?: number;
  /** How many exchanges are left out before the page. */
  readonly offset?: number;
  /** The cursor behind which the page begins. */
  readonly after?: string;
}

export interface Measured {
  readonly requests: number;
  readonly seconds: number;
  /** In ms. */
  readonly p50: number;
  readonly p99: number;
  /** Of a body, as it came. */
  readonly bytes: number;
  /** How often Cache-Status said so. */
  readonly hits: number;
  /** How often the server said that it could not answer just then. */
  readonly refused: number;
}

export interface PagesLoad {
  /** Stores users and their histories. */
  prepare(given: Crowd & { redisUrl: string }): Promise<void>;
  /** Puts the bytes that a server answers with where the floor finds them. */
  layFloor(given: Asked): Promise<void>;
  /** Where the first user's page ends. */
  endCursor(given: Asked): Promise<string>;
  /** What each user gets, as JSON of the same shape whoever answers. */
  compare(given: Asked): Promise<string>;
  /** Closed loop: each connection asks for the next user's page when it has the last one. */
  hammer(
    given: Asked & { connections: number; seconds: number; mayRefuse?: boolean },
  ): Promise<Measured>;
  /** Each user's page once, or so many times. */
  once(given: Asked & { connections: number; times?: number }): Promise<Measured>;
}

let users: readonly Person[] = [];
let redis: Redis;

function requestFor(
  { url, as, encoding, first = PAGE_SIZE, offset, after }: Asked,
  user: Person,
): Buffer {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    authorization: `Bearer ${user.token}`,
    'x-user': user.id,
    ...(encoding && { 'accept-encoding': encoding }),
  };
  const query = after ? PAGE_AFTER : as === 'postgraphile' ? PAGE_OF_POSTGRAPHILE : PAGE;
  const variables = { first, ...(offset && { offset }), ...(after && { after }) };
  return requestOf(url, headers, JSON.stringify({ query, variables }));
}

const requestsFor = (asked: Asked): readonly Buffer[] =>
  users.slice(asked.from, asked.from + asked.users).map((user) => requestFor(asked, user));

function check({ status, head, body }: Answer): void {
  // Compressed or not, a page of fifty exchanges is not small; an error is.
  if (status === 200 && body.length > 5_000) return;
  throw new Error(`It answered ${head}${body.toString().slice(0, 500)}`);
}

interface Queue {
  /** The next request; undefined when there are no more. */
  next(): Buffer | undefined;
}

const isRefusal = ({ body }: Answer): boolean =>
  body.length < 5_000 && body.includes('SERVICE_UNAVAILABLE');

async function loop(
  url: string,
  connections: number,
  queue: Queue,
  mayRefuse = false,
): Promise<Measured> {
  const clients = await Promise.all(Array.from({ length: connections }, () => openHttp(url)));
  const latencies: number[] = [];
  let bytes = 0;
  let hits = 0;
  let refused = 0;
  const began = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      for (;;) {
        const request = queue.next();
        if (!request) return;
        const asked = performance.now();
        const answer = await client.ask(request);
        if (mayRefuse && isRefusal(answer)) {
          refused += 1;
          continue;
        }
        check(answer);
        latencies.push(performance.now() - asked);
        bytes += answer.body.length;
        if (/cache-status: chatkeep; hit/i.test(answer.head)) hits += 1;
      }
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  for (const client of clients) client.close();
  latencies.sort((a, b) => a - b);
  return {
    requests: latencies.length,
    seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    bytes: bytes / latencies.length,
    hits,
    refused,
  };
}

serve<PagesLoad>({
  async prepare({ redisUrl, ...crowd }) {
    redis = new Redis(redisUrl);
    users = await settle(crowd);
  },

  async layFloor(asked) {
    const client = await openHttp(asked.url);
    for (const user of users.slice(asked.from, asked.from + asked.users)) {
      const answer = await client.ask(requestFor(asked, user));
      check(answer);
      await redis.set(`${FLOOR_KEY}${user.id}`, answer.body);
    }
    client.close();
  },

  async endCursor(asked) {
    const client = await openHttp(asked.url);
    const answer = await client.ask(requestFor(asked, users[asked.from] as Person));
    check(answer);
    client.close();
    return JSON.parse(answer.body.toString()).data.chatHistory.pageInfo.endCursor;
  },

  async compare(asked) {
    const client = await openHttp(asked.url);
    const pages: unknown[] = [];
    for (const request of requestsFor(asked)) {
      const answer = await client.ask(request);
      check(answer);
      const { data } = JSON.parse(answer.body.toString());
      const { nodes } = data.chatHistory ?? data.allChatHistories;
      pages.push(
        nodes.map((node: Record<string, string>) => [
          node['id'] ?? node['rowId'],
          node['message'],
          node['response'],
          node['status'],
          new Date(node['createdAt'] as string).getTime(),
        ]),
      );
    }
    client.close();
    return JSON.stringify(pages);
  },

  hammer: (given) => {
    const requests = requestsFor(given);
    // From when all connections are open.
    let until: number | undefined;
    let n = 0;
    const next = () => {
      until ??= performance.now() + given.seconds * 1_000;
      return performance.now() < until ? requests[n++ % requests.length] : undefined;
    };
    return loop(given.url, given.connections, { next }, given.mayRefuse);
  },

  once(given) {
    const requests = requestsFor(given);
    const total = requests.length * (given.times ?? 1);
    let n = 0;
    const next = () => (n < total ? requests[n++ % requests.length] : undefined);
    return loop(given.url, given.connections, { next });
  },
});
