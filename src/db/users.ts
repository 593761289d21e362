import { sql } from 'drizzle-orm';
import type { Claims, Database } from './database.ts';

export interface UserRow {
  readonly id: string;
  readonly email: string | null;
  readonly createdAt: string;
}

/** The signed-in user's own row in auth.users. */
export function createUserStore(database: Database) {
  return {
    /** Adds the user of a verified token on first use (not on Supabase, which has its own sign-up). */
    async register(claims: Claims): Promise<UserRow | undefined> {
      const [, rows] = await database.asUser(claims, (db) => [
        db.execute(sql`select chatkeep.open_history()`),
        db.execute(sql`select id, email, created_at::text as "createdAt" from chatkeep.viewer()`),
      ]);
      return rows[0] as UserRow | undefined;
    },
  };
}

export type UserStore = ReturnType<typeof createUserStore>;
