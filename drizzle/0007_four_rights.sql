-- Supabase's default privileges hand new tables to `authenticated` with everything. What goes beyond the
-- four commands that have a policy would go past row level security: TRUNCATE above all.
revoke all on chat_counters, chat_history, chat_deletions, chat_reply_leases, chat_personalities
  from authenticated;
--> statement-breakpoint
grant select, insert, update, delete
  on chat_counters, chat_history, chat_deletions, chat_reply_leases, chat_personalities to authenticated;
