import { eq, sql } from 'drizzle-orm';
import type { Claims, Database, QueryBuilder } from './database.ts';
import { chatPersonalities } from './schema.ts';
import { openHistory } from './statements.ts';

export interface UserRow {
  readonly id: string;
  readonly email: string | null;
  readonly createdAt: string;
  /** What goes along with each message that brings nothing itself; null for nothing. */
  readonly personality: unknown;
}

/** The signed-in user's own row in auth.users, and what they set. */
export function createUserStore(database: Database) {
  return {
    /** Adds the user of a verified token on first use (not on Supabase, which has its own sign-up). */
    async register(claims: Claims): Promise<UserRow | undefined> {
      const [, viewer, personality] = await database.asUser(claims, (db) => [
        openHistory,
        viewerStatement(db),
        personalityStatement(db, claims.sub),
      ]);
      return userOf(viewer, personality);
    },

    /** Adds the user too, should this be the first use. */
    async setPersonality(claims: Claims, personality: object | null): Promise<UserRow | undefined> {
      // As text: Drizzle stumbles over an object without a prototype, as literals in a document are.
      const value = sql`${JSON.stringify(personality)}::jsonb`;
      const [, , viewer, stored] = await database.asUser(claims, (db) => [
        openHistory,
        personality === null
          ? db.delete(chatPersonalities).where(eq(chatPersonalities.userId, claims.sub))
          : db
              .insert(chatPersonalities)
              .values({ userId: claims.sub, personality: value })
              .onConflictDoUpdate({
                target: chatPersonalities.userId,
                set: { personality: value },
              }),
        viewerStatement(db),
        personalityStatement(db, claims.sub),
      ]);
      return userOf(viewer, stored);
    },
  };
}

export type UserStore = ReturnType<typeof createUserStore>;

const viewerStatement = (db: QueryBuilder) =>
  db.execute(sql`select id, email, created_at::text as "createdAt" from chatkeep.viewer()`);

const personalityStatement = (db: QueryBuilder, userId: string) =>
  db
    .select({ personality: chatPersonalities.personality })
    .from(chatPersonalities)
    .where(eq(chatPersonalities.userId, userId));

function userOf(
  [viewer]: readonly unknown[],
  [stored]: readonly { personality: unknown }[],
): UserRow | undefined {
  if (viewer === undefined) return undefined;
  return { ...(viewer as Omit<UserRow, 'personality'>), personality: stored?.personality ?? null };
}
