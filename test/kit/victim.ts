import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { type Any, type Client, HISTORY, SEARCH, send, signIn } from './client.ts';
import type { TestServer } from './server.ts';
import { EVENTS } from './subscriptions.ts';
import { transports } from './transports.ts';

const STATES = ['PENDING', 'STREAMING', 'COMPLETE', 'STOPPED', 'FAILED'] as const;

/** Nothing else in a test has this number, this day or this word. */
const SEQ = 7_770_000;
const DAY = '2021-03-04';
const SCORE = 0.7331;

/** A user whose data can be told from everything else, for others to try to get at. */
export interface Victim {
  readonly client: Client;
  readonly userId: string;
  /** Stands in every text. */
  readonly canary: string;
  /** A message's id by the state that its reply is in; and DELETED. */
  readonly ids: Readonly<Record<string, string>>;
  readonly cursors: readonly Cursor[];
  /** What of the victim's a text holds that came to somebody else, who had given `given`. */
  tracesIn(text: string, given?: string): string[];
}

export interface Cursor {
  readonly cursor: string;
  /** Either a place in the history or the number of a change. */
  readonly place?: { readonly createdAt: string; readonly id: string };
  readonly seq?: bigint;
}

export async function seedVictim(
  server: Pick<TestServer, 'url' | 'wsUrl'>,
  admin: postgres.Sql,
): Promise<Victim> {
  const client = await signIn(server);
  const { userId } = client;
  const canary = `zanzibar ${randomUUID().slice(0, 8)}`;
  await admin`update chat_counters set seq = ${SEQ} where user_id = ${userId}`;
  await client.data('mutation ($p: JSON) { setPersonality(personality: $p) { id } }', {
    p: { secret: canary },
  });
  const ids: Record<string, string> = {};
  for (const [n, status] of STATES.entries()) {
    const id = randomUUID();
    ids[status] = id;
    await admin`insert into chat_history
      (user_id, id, message, response, status, failure, personality_context, mood, mood_score, created_at)
      values (${userId}, ${id}, ${`my secret is ${canary}`}, ${`it is ${canary}`},
        ${status}::text::chat_reply_status, ${status === 'FAILED' ? canary : null},
        ${JSON.stringify({ secret: canary })}::text::jsonb, 'POSITIVE', ${SCORE},
        ${`${DAY} 05:06:07.${n}89123+00`}::text::timestamptz)`;
    if (n < 2) {
      await admin`insert into chat_reply_leases (user_id, message_id, token, expires_at)
        values (${userId}, ${id}, ${randomUUID()}, now() + interval '1 day')`;
    }
  }
  const early = await client.data<Any>('{ chatHistory(first: 1) { eventsCursor } }');
  const deleted = await send(client, `deleted, and about ${canary}`);
  await client.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id: deleted.id });
  ids['DELETED'] = deleted.id;

  const needles = [
    canary,
    userId,
    ...Object.values(ids),
    `${SEQ}`.slice(0, -2),
    `${DAY} 05`,
    `${DAY}T05`,
    `${SCORE}`,
  ];
  return {
    client,
    userId,
    canary,
    ids,
    cursors: (await cursorsOf(server, client, canary, early.chatHistory.eventsCursor)).map(opened),
    tracesIn(text, given) {
      const own = given ? text.replaceAll(given, '').replaceAll(given.toLowerCase(), '') : text;
      // What looks like a cursor is opened.
      const inside = [...own.matchAll(/[\w-]{20,}/g)].map(([cursor]) => inCursor(cursor));
      const all = [own, ...inside].join('\n');
      return needles.filter((needle) => needle !== given?.toLowerCase() && all.includes(needle));
    },
  };
}

/** Every kind of cursor that a client gets to see. */
async function cursorsOf(
  server: Pick<TestServer, 'url' | 'wsUrl'>,
  client: Client,
  canary: string,
  early: string,
): Promise<string[]> {
  const { chatHistory } = await client.data<Any>(HISTORY);
  const events = 'eventsCursor nodes { cursor }';
  const more = await client.data<Any>(
    `query ($q: String!) { chatHistory(first: 2) { ${events} } searchChats(query: $q) { ${events} } }`,
    { q: canary },
  );
  const { searchChats } = await client.data<Any>(SEARCH, { query: canary, first: 3 });
  const ranked = await client.data<Any>(SEARCH, { query: canary, orderBy: 'RELEVANCE' });
  const [http] = transports;
  const caughtUp = await http?.ask(server, { query: EVENTS }, client.token);
  const changed = await http?.ask(
    server,
    { query: EVENTS, variables: { after: early } },
    client.token,
  );
  return [
    ...new Set<string>([
      chatHistory.pageInfo.startCursor,
      chatHistory.pageInfo.endCursor,
      searchChats.pageInfo.endCursor,
      searchChats.edges[0].cursor,
      ranked.searchChats.edges[0].cursor,
      more.chatHistory.nodes[1].cursor,
      more.chatHistory.eventsCursor,
      more.searchChats.eventsCursor,
      caughtUp?.data.chatEvents.cursor,
      changed?.data.chatEvents.cursor,
    ]),
  ];
}

function opened(cursor: string): Cursor {
  const text = inCursor(cursor);
  const [, seq] = /^change (\d+)$/.exec(text) ?? [];
  if (seq !== undefined) return { cursor, seq: BigInt(seq) };
  return { cursor, place: { createdAt: text.slice(0, -37), id: text.slice(-36) } };
}

/** What stands in a cursor behind its checksum; empty for what is none. */
export function inCursor(text: string): string {
  const inside = Buffer.from(text, 'base64url').subarray(8).toString();
  return /^(change \d+|((rank|near) \d )?\d{4}-\d\d-.*)$/.test(inside) ? inside : '';
}

/** All that is stored of a user, in every table that there is. */
export async function rowsOf(admin: postgres.Sql, userId: string): Promise<string> {
  const tables = await admin<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c
    where relkind in ('r', 'p') and relnamespace::regnamespace::text in ('public', 'chatkeep', 'auth')
    order by 1`;
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await admin.unsafe(
      `select to_jsonb(t)::text as row from ${name} t
      where coalesce(to_jsonb(t) ->> 'user_id', to_jsonb(t) ->> 'id') = $1 order by 1`,
      [userId],
    );
    found.push(...rows.map(({ row }) => `${name} ${row}`));
  }
  return found.join('\n');
}
