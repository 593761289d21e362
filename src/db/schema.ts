import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  doublePrecision,
  foreignKey,
  index,
  jsonb,
  pgEnum,
  pgPolicy,
  pgRole,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import { authenticatedRole, authUsers } from 'drizzle-orm/supabase';

/*
 * Tables, indexes and policies. What drizzle-kit has no words for (roles, FORCE, grants, the
 * numbering trigger) stands in the hand-written migrations in drizzle/.
 */

/** Sees whose replies are running on which lease, and nothing of what was said. */
const workerRole = pgRole('chatkeep_worker').existing();

/** Sees every message and fills in what is searched, through the functions that it owns alone. */
const searchRole = pgRole('chatkeep_search').existing();

const mine = sql`(select auth.uid()) = user_id`;

/** The four policies that make a table a user's own. */
function ownRows(what: string) {
  const to = authenticatedRole;
  return [
    pgPolicy(`Users can view own ${what}`, { for: 'select', to, using: mine }),
    pgPolicy(`Users can insert own ${what}`, { for: 'insert', to, withCheck: mine }),
    pgPolicy(`Users can update own ${what}`, { for: 'update', to, using: mine, withCheck: mine }),
    pgPolicy(`Users can delete own ${what}`, { for: 'delete', to, using: mine }),
  ];
}

// DESC alone is NULLS FIRST in an ORDER BY, but drizzle-kit writes an index's DESC as NULLS LAST, which
// PostgreSQL would not use for it: hence nullsFirst() in the indexes below.

/** An instant as PostgreSQL prints it: microseconds matter to a keyset, and a JS Date has none. */
const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });

export const replyStatus = pgEnum('chat_reply_status', [
  'PENDING',
  'STREAMING',
  'COMPLETE',
  'STOPPED',
  'FAILED',
]);

export const mood = pgEnum('chat_mood', ['POSITIVE', 'NEUTRAL', 'NEGATIVE']);

/** One row a user: the number of the newest change in their history. Locked by every change. */
export const chatCounters = pgTable(
  'chat_counters',
  {
    userId: uuid('user_id')
      .primaryKey()
      .references(() => authUsers.id, { onDelete: 'cascade' }),
    seq: bigint('seq', { mode: 'bigint' }).notNull().default(sql`0`),
    lastCreatedAt: instant('last_created_at').notNull().default(sql`'-infinity'`),
  },
  () => ownRows('counter'),
);

/**
 * One row an exchange. `seq` is the number of the row's latest change and `reply_seq` that of its
 * reply's end; both, `created_at` and `updated_at` are set by the trigger `number_change`. The column
 * `search_text` is not here, so that no statement reads it along: see 0008 in drizzle/ and search-index.ts.
 */
export const chatHistory = pgTable(
  'chat_history',
  {
    userId: uuid('user_id')
      .notNull()
      .references(() => authUsers.id, { onDelete: 'cascade' }),
    id: uuid('id').notNull().default(sql`gen_random_uuid()`),
    seq: bigint('seq', { mode: 'bigint' }).notNull(),
    replySeq: bigint('reply_seq', { mode: 'bigint' }),
    message: text('message').notNull(),
    response: text('response').notNull().default(''),
    status: replyStatus('status').notNull().default('COMPLETE'),
    failure: text('failure'),
    personalityContext: jsonb('personality_context'),
    /** Whether nothing was sent along, and the context is the personality that the user had then. */
    hasDefaultContext: boolean('has_default_context').notNull().default(false),
    hasPersonalityContext: boolean('has_personality_context').notNull(),
    mood: mood('mood').notNull().default('NEUTRAL'),
    moodScore: doublePrecision('mood_score').notNull().default(0),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.userId, table.id] }),
    uniqueIndex('idx_chat_history_user_seq').on(table.userId, table.seq),
    // It includes mood and mood_score, for which drizzle-kit has no words: see 0004 in drizzle/.
    index('idx_chat_history_user_created').on(
      table.userId,
      table.createdAt.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    index('idx_chat_history_personality').on(
      table.userId,
      table.hasPersonalityContext,
      table.createdAt.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    ...ownRows('messages'),
    pgPolicy('Searches can see messages', { for: 'select', to: searchRole, using: sql`true` }),
    pgPolicy('Searches can fill in what they search', {
      for: 'update',
      to: searchRole,
      using: sql`true`,
    }),
  ],
);

/** What a user sends along with every message, unless the message brings something itself. */
export const chatPersonalities = pgTable(
  'chat_personalities',
  {
    userId: uuid('user_id')
      .primaryKey()
      .references(() => authUsers.id, { onDelete: 'cascade' }),
    personality: jsonb('personality').notNull(),
  },
  () => ownRows('personality'),
);

/** What was deleted, and when in the order of changes. An id that stood here is not free again. */
export const chatDeletions = pgTable(
  'chat_deletions',
  {
    userId: uuid('user_id')
      .notNull()
      .references(() => authUsers.id, { onDelete: 'cascade' }),
    id: uuid('id').notNull(),
    seq: bigint('seq', { mode: 'bigint' }).notNull(),
    deletedAt: instant('deleted_at').notNull().default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.userId, table.id] }),
    uniqueIndex('idx_chat_deletions_user_seq').on(table.userId, table.seq),
    ...ownRows('deletions'),
  ],
);

/**
 * A reply being written. `token` is the one generation that may write it: a process that was frozen
 * past `expires_at` and wakes up finds another token, or none, and can change nothing.
 */
export const chatReplyLeases = pgTable(
  'chat_reply_leases',
  {
    userId: uuid('user_id').notNull(),
    messageId: uuid('message_id').notNull(),
    token: uuid('token').notNull(),
    expiresAt: instant('expires_at').notNull(),
    stopRequested: boolean('stop_requested').notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.userId, table.messageId] }),
    foreignKey({
      columns: [table.userId, table.messageId],
      foreignColumns: [chatHistory.userId, chatHistory.id],
    }).onDelete('cascade'),
    index('idx_chat_reply_leases_expires').on(table.expiresAt),
    ...ownRows('replies'),
    pgPolicy('Workers can see running replies', {
      for: 'select',
      to: workerRole,
      using: sql`true`,
    }),
    pgPolicy('Workers can keep replies running', {
      for: 'update',
      to: workerRole,
      using: sql`true`,
    }),
  ],
);

export type MessageRow = typeof chatHistory.$inferSelect;
