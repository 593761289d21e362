import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';

/** One person has every tenth message; so many has each of the others. */
const HEAVY_SHARE = 10;
const LIGHT_MESSAGES = 300;

const YEARS_MS = 3 * 365 * 24 * 60 * 60 * 1_000;
const ROWS_A_PIECE = 500;
/** What VADER says of people's messages, in about these shares. */
const MOODS = [
  ['NEUTRAL', 0],
  ['POSITIVE', 0.6],
  ['NEUTRAL', 0],
  ['NEGATIVE', -0.5],
  ['POSITIVE', 0.4],
] as const;

export interface Histories {
  /** Who has a tenth of all messages. */
  readonly heavy: string;
  /** The others, of whom each has 300. */
  readonly light: readonly string[];
  /** Of all, oldest and newest. */
  readonly from: Date;
  readonly to: Date;
}

/**
 * Stores so many exchanges of real text, as people write them: everybody's in turn, over three years until an
 * hour ago. Past the triggers, which number changes one by one; what they would fill in is filled in here.
 */
export async function storeHistories(ownerUrl: string, messages: number): Promise<Histories> {
  const heavy = randomUUID();
  const lightMessages = messages - Math.ceil(messages / HEAVY_SHARE);
  const light = Array.from({ length: Math.ceil(lightMessages / LIGHT_MESSAGES) }, () =>
    randomUUID(),
  );
  const to = new Date(Date.now() - 60 * 60 * 1_000);
  const from = new Date(to.getTime() - YEARS_MS);
  const histories = { heavy, light, from, to };
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  await sql`insert into auth.users (id) select unnest(${[heavy, ...light]}::uuid[])`;
  await sql`set session_replication_role = replica`;
  const rows = await sql`
    copy chat_history (user_id, id, seq, reply_seq, message, response, has_personality_context, mood,
      mood_score, created_at, updated_at) from stdin`.writable();
  await pipeline(Readable.from(linesOf(histories, messages)), rows);
  await sql`
    insert into chat_counters (user_id, seq, last_created_at)
    select user_id, max(seq), max(created_at) from chat_history group by user_id`;
  await sql`vacuum analyze chat_history, chat_counters`;
  await sql.end();
  return histories;
}

/** In pieces, as COPY takes them. */
async function* linesOf(
  { heavy, light, from, to }: Histories,
  messages: number,
): AsyncGenerator<string> {
  // Only now: a fresh clone has the books once the contestants are installed.
  const { exchangeOf } = await import('./corpus.ts');
  const seqs = new Map<string, number>();
  const step = (to.getTime() - from.getTime()) / messages;
  let piece: string[] = [];
  for (let n = 0; n < messages; n += 1) {
    const isHeavy = n % HEAVY_SHARE === 0;
    const nthLight = n - Math.ceil(n / HEAVY_SHARE);
    const userId = isHeavy ? heavy : (light[nthLight % light.length] as string);
    // Sent, and replied to: two changes.
    const seq = (seqs.get(userId) ?? 0) + 2;
    seqs.set(userId, seq);
    const { message, response } = exchangeOf(n);
    const [mood, score] = MOODS[(seq / 2) % MOODS.length] as (typeof MOODS)[number];
    const at = new Date(Math.floor(from.getTime() + n * step)).toISOString();
    const texts = `${escaped(message)}\t${escaped(response)}`;
    piece.push(
      `${userId}\t${randomUUID()}\t${seq}\t${seq}\t${texts}\tf\t${mood}\t${score}\t${at}\t${at}\n`,
    );
    if (piece.length < ROWS_A_PIECE) continue;
    yield piece.join('');
    piece = [];
  }
  yield piece.join('');
}

/** https://www.postgresql.org/docs/current/sql-copy.html, "Text Format" */
const escaped = (text: string) =>
  text
    .replaceAll('\\', '\\\\')
    .replaceAll('\t', '\\t')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r');
