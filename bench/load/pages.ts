import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { SignJWT } from 'jose';
import postgres from 'postgres';
import { exchangeOf } from '../kit/corpus.ts';
import { FLOOR_KEY, PAGE, PAGE_OF_POSTGRAPHILE, PAGE_SIZE } from '../kit/http.ts';
import { serve } from '../kit/remote.ts';
import { percentile } from '../kit/statistics.ts';
import { type Answer, openHttp, requestOf } from './http-client.ts';

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
  /** How many exchanges are left out before the page. */
  readonly offset?: number;
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
}

export interface PagesLoad {
  /** Stores users, each with a history of so many exchanges of real text; answers their ids. */
  prepare(given: {
    redisUrl: string;
    ownerUrl: string;
    jwtSecret: string;
    users: number;
    messages: number;
    /** The first user has so many. */
    manyMessages: number;
  }): Promise<void>;
  /** Puts the bytes that a server answers with where the floor finds them. */
  layFloor(given: Asked): Promise<void>;
  /** What each user gets, as JSON of the same shape whoever answers. */
  compare(given: Asked): Promise<string>;
  /** Closed loop: each connection asks for the next user's page when it has the last one. */
  hammer(given: Asked & { connections: number; seconds: number }): Promise<Measured>;
  /** Each user's page once. */
  once(given: Asked & { connections: number }): Promise<Measured>;
}

/** In one statement. */
const STORED_AT_A_TIME = 500;

interface User {
  readonly id: string;
  readonly token: string;
}

let users: User[] = [];
let redis: Redis;

async function newUser(jwtSecret: string): Promise<User> {
  const id = randomUUID();
  const token = await new SignJWT({ role: 'authenticated' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(id)
    .setAudience('authenticated')
    .setExpirationTime('1 day')
    .sign(Buffer.from(jwtSecret));
  return { id, token };
}

async function store(sql: postgres.Sql, owners: readonly string[], from: number): Promise<void> {
  const exchanges = owners.map((_, i) => exchangeOf(from + i));
  const messages = exchanges.map(({ message }) => message);
  const responses = exchanges.map(({ response }) => response);
  await sql`
    insert into chat_history (user_id, message, response)
    select u, m, r from unnest(${[...owners]}::uuid[], ${messages}::text[], ${responses}::text[]) as t(u, m, r)`;
}

function requestFor({ url, as, encoding, offset }: Asked, user: User): Buffer {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    authorization: `Bearer ${user.token}`,
    'x-user': user.id,
    ...(encoding && { 'accept-encoding': encoding }),
  };
  const query = as === 'postgraphile' ? PAGE_OF_POSTGRAPHILE : PAGE;
  const variables = { first: PAGE_SIZE, ...(offset && { offset }) };
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

async function loop(url: string, connections: number, queue: Queue): Promise<Measured> {
  const clients = await Promise.all(Array.from({ length: connections }, () => openHttp(url)));
  const latencies: number[] = [];
  let bytes = 0;
  let hits = 0;
  const began = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      for (;;) {
        const request = queue.next();
        if (!request) return;
        const asked = performance.now();
        const answer = await client.ask(request);
        latencies.push(performance.now() - asked);
        check(answer);
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
  };
}

serve<PagesLoad>({
  async prepare({ redisUrl, ownerUrl, jwtSecret, users: count, messages, manyMessages }) {
    redis = new Redis(redisUrl);
    users = await Promise.all(Array.from({ length: count }, () => newUser(jwtSecret)));
    const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
    await sql`insert into auth.users (id) select unnest(${users.map(({ id }) => id)}::uuid[])`;
    const owners = users.flatMap(({ id }, i) =>
      Array.from({ length: i === 0 ? manyMessages : messages }, () => id),
    );
    for (let from = 0; from < owners.length; from += STORED_AT_A_TIME) {
      await store(sql, owners.slice(from, from + STORED_AT_A_TIME), from);
    }
    await sql`vacuum analyze chat_history`;
    await sql.end();
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
    const until = performance.now() + given.seconds * 1_000;
    let n = 0;
    const next = () => (performance.now() < until ? requests[n++ % requests.length] : undefined);
    return loop(given.url, given.connections, { next });
  },

  once(given) {
    const requests = requestsFor(given).values();
    return loop(given.url, given.connections, { next: () => requests.next().value });
  },
});
