import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import type { Client } from './client.ts';

export interface Seed {
  readonly message?: string;
  readonly created_at?: string;
  readonly mood?: string;
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
      insert into chat_history (user_id, id, message, response, personality_context, created_at, mood)
      values (${client.userId}, ${id}, ${row.message ?? 'hello'}, 'hi', ${context}::text::jsonb,
        ${row.created_at ?? null}::text::timestamptz,
        ${row.mood ?? 'NEUTRAL'}::text::chat_mood)`;
  }
  return ids;
}
