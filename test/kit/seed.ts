import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import type { Client } from './client.ts';

export interface Seed {
  readonly message?: string;
  readonly response?: string;
  readonly created_at?: string;
  readonly mood?: string;
  readonly mood_score?: number;
  readonly personality_context?: object | null;
}

/** Puts exchanges into the table as another program would: with the contract's columns only. */
export async function seedAs(
  admin: postgres.Sql,
  client: Client,
  rows: readonly Seed[],
): Promise<string[]> {
  const ids: string[] = [];
  for (const row of rows) {
    const id = randomUUID();
    ids.push(id);
    const context = row.personality_context ? JSON.stringify(row.personality_context) : null;
    // As text: postgres.js would cut an instant to milliseconds.
    await admin`
      insert into chat_history (user_id, id, message, response, personality_context, created_at, mood, mood_score)
      values (${client.userId}, ${id}, ${row.message ?? 'hello'}, ${row.response ?? 'hi'}, ${context}::text::jsonb,
        ${row.created_at ?? null}::text::timestamptz,
        ${row.mood ?? 'NEUTRAL'}::text::chat_mood, ${row.mood_score ?? 0})`;
  }
  return ids;
}

/** The nth message of a history that `seedMany` made; the number is a word of its own. */
export const seededMessage = (n: number): string => `Message number${n}, about the garden`;

/**
 * A long life: so many exchanges at even distances from one instant to another, oldest first, of different
 * lengths and moods. Past the triggers, which number changes one by one.
 */
export async function seedMany(
  ownerUrl: string,
  userId: string,
  { count, from, to }: { count: number; from: Date; to: Date },
): Promise<void> {
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  const stepMs = Math.floor((to.getTime() - from.getTime()) / count);
  await sql.begin(async (tx) => {
    await tx`insert into auth.users (id) values (${userId}) on conflict do nothing`;
    await tx`set local session_replication_role = replica`;
    await tx`
      insert into chat_history (user_id, id, seq, reply_seq, message, response, has_personality_context,
        mood, mood_score, created_at, updated_at)
      select ${userId}, gen_random_uuid(), 2 * n + 1, 2 * n + 1, 'Message number' || n || ', about the garden',
        'Reply to ' || n || '. ' || repeat('The roses want water and the beans want a pole. ', n % 7)
          || case when n % 11 = 0 then E'\n\n- one\n- two\n\n\`\`\`js\nconst bed = 1;\n\`\`\`' else '' end,
        false, (array['POSITIVE', 'NEUTRAL', 'NEUTRAL', 'NEGATIVE'])[1 + n % 4]::chat_mood,
        (array[0.6, 0, 0, -0.5])[1 + n % 4], at, at
      from (select n, date_trunc('milliseconds', ${from.toISOString()}::timestamptz
          + n * ${stepMs}::int8 * interval '1 millisecond') as at
        from generate_series(0, ${count - 1}::int) n) t`;
    await tx`
      insert into chat_counters (user_id, seq, last_created_at) values (${userId}, ${2 * count}, ${to})
      on conflict (user_id) do update set seq = excluded.seq, last_created_at = excluded.last_created_at`;
  });
  await sql`analyze chat_history`;
  await sql.end();
}
