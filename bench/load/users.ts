import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type postgres from 'postgres';
import type WebSocket from 'ws';
import { encodeChangeCursor } from '../../src/resolvers/cursor.ts';
import { tokenOf } from '../kit/tokens.ts';
import { type ChatEvent, frameOf, markedText, REPLAY_KEY } from '../kit/wire.ts';

export interface User {
  readonly id: string;
  readonly token: string;
  readonly messageId: string;
  readonly replyId: string;
  /** The number with which the reply began, and how much of it was told. */
  run: string;
  offset: number;
  readonly sockets: WebSocket[];
}

interface StoredRow {
  readonly id: string;
  readonly message: string;
  readonly response: string;
  readonly status: string;
  readonly seq: string;
}

function changeOf(user: User, { seq, id, message, response, status }: StoredRow): ChatEvent {
  return {
    __typename: 'MessageChanged',
    cursor: encodeChangeCursor(user.id, BigInt(seq)),
    message: { id, message, response, status },
  };
}

const MESSAGE_LENGTH = 120;
const RESPONSE_LENGTH = 330;
const COLUMNS = 'id, message, response, status, seq';

export async function newUser(jwtSecret: string): Promise<User> {
  const id = randomUUID();
  const token = await tokenOf(id, jwtSecret);
  const [messageId, replyId] = [randomUUID(), randomUUID()];
  return { id, token, messageId, replyId, run: '0', offset: 0, sockets: [] };
}

/** Each with a message, and with a reply that is being written. */
export async function storeUsers(sql: postgres.Sql, all: readonly User[]): Promise<void> {
  const ids = all.map(({ id }) => id);
  const replyIds = all.map(({ replyId }) => replyId);
  const messageIds = all.map(({ messageId }) => messageId);
  await sql`insert into auth.users (id) select unnest(${ids}::uuid[])`;
  await sql`
    insert into chat_history (user_id, id, message)
    select u, m, ${'m'.repeat(MESSAGE_LENGTH)}
    from unnest(${ids}::uuid[], ${messageIds}::uuid[]) as t(u, m)`;
  const runs = await sql<{ user_id: string; seq: string }[]>`
    insert into chat_history (user_id, id, message, status)
    select u, m, 'Tell me', 'PENDING'
    from unnest(${ids}::uuid[], ${replyIds}::uuid[]) as t(u, m)
    returning user_id, seq`;
  // A lease that no sweeper finds: nobody really writes these replies.
  await sql`
    insert into chat_reply_leases (user_id, message_id, token, expires_at)
    select u, m, gen_random_uuid(), now() + interval '1 year'
    from unnest(${ids}::uuid[], ${replyIds}::uuid[]) as t(u, m)`;
  const byUser = new Map(runs.map((row) => [row.user_id, row.seq]));
  for (const user of all) user.run = byUser.get(user.id) ?? user.run;
}

/** A history of so many messages, for one user, and the bytes of its replay. */
export async function storeReplay(
  sql: postgres.Sql,
  redis: Redis,
  user: User,
  count: number,
): Promise<void> {
  await sql`insert into auth.users (id) values (${user.id})`;
  const rows = await sql<StoredRow[]>`
    insert into chat_history (user_id, message, response)
    select ${user.id}::uuid, ${'m'.repeat(MESSAGE_LENGTH)}, ${'r'.repeat(RESPONSE_LENGTH)}
    from generate_series(1, ${count})
    returning ${sql.unsafe(COLUMNS)}`;
  user.run = rows.at(-1)?.seq ?? '0';
  await redis.del(REPLAY_KEY);
  for (let at = 0; at < rows.length; at += 1_000) {
    const frames = rows.slice(at, at + 1_000).map((row) => frameOf(changeOf(user, row)));
    await redis.rpush(REPLAY_KEY, ...frames);
  }
}

/** Stores a change that carries a number; answers its event, and its place in the history. */
export async function storeChange(
  sql: postgres.Sql,
  user: User,
  n: number,
): Promise<{ event: ChatEvent; seq: string }> {
  const [row] = await sql<[StoredRow]>`
    update chat_history set response = ${markedText(n, RESPONSE_LENGTH)}
    where user_id = ${user.id} and id = ${user.messageId}
    returning ${sql.unsafe(COLUMNS)}`;
  return { event: changeOf(user, row), seq: row.seq };
}

/** What a message takes on disk beside its texts, indexes and all, in bytes. */
export async function bytesBesideTexts(sql: postgres.Sql): Promise<number> {
  const [{ size, messages, texts }] = await sql<
    [{ size: string; messages: string; texts: string }]
  >`
    select pg_total_relation_size('chat_history') as size, count(*) as messages,
      sum(octet_length(message) + octet_length(response)) as texts from chat_history`;
  return (Number(size) - Number(texts)) / Number(messages);
}
