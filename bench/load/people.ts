import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import type { Exchange } from '../kit/lines.ts';
import { tokenOf } from '../kit/tokens.ts';

export interface Person {
  readonly id: string;
  readonly token: string;
}

/** Who comes, and what their histories are. */
export interface Crowd {
  readonly ownerUrl: string;
  readonly jwtSecret: string;
  readonly users: number;
  /** Exchanges that each has. */
  readonly messages: number;
  /** The first user has so many. */
  readonly manyMessages: number;
  /** Out of our own lines, where the books are not installed. */
  readonly withoutBooks?: boolean;
}

/** In one statement. */
const STORED_AT_A_TIME = 500;

/** Stores users, each with a history of real text. */
export async function settle(crowd: Crowd): Promise<Person[]> {
  const { ownerUrl, jwtSecret, users, messages, manyMessages } = crowd;
  const { exchangeOf } = await (crowd.withoutBooks
    ? import('../kit/lines.ts')
    : import('../kit/corpus.ts'));
  const people = await Promise.all(
    Array.from({ length: users }, async () => {
      const id = randomUUID();
      return { id, token: await tokenOf(id, jwtSecret) };
    }),
  );
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  await sql`insert into auth.users (id) select unnest(${people.map(({ id }) => id)}::uuid[])`;
  const owners = people.flatMap(({ id }, i) =>
    Array.from({ length: i === 0 ? manyMessages : messages }, () => id),
  );
  for (let from = 0; from < owners.length; from += STORED_AT_A_TIME) {
    const some = owners.slice(from, from + STORED_AT_A_TIME);
    await store(
      sql,
      some,
      some.map((_, i) => exchangeOf(from + i)),
    );
  }
  await sql`vacuum analyze chat_history`;
  await sql.end();
  return people;
}

async function store(
  sql: postgres.Sql,
  owners: readonly string[],
  exchanges: readonly Exchange[],
): Promise<void> {
  const messages = exchanges.map(({ message }) => message);
  const responses = exchanges.map(({ response }) => response);
  await sql`
    insert into chat_history (user_id, message, response)
    select u, m, r from unnest(${[...owners]}::uuid[], ${messages}::text[], ${responses}::text[]) as t(u, m, r)`;
}
