-- The index that pages walk carries the mood along, so that moodTrend counts without reading a row.
-- drizzle-kit has no word for INCLUDE; else the index stands as in 0001.
create index idx_chat_history_user_created_mood on chat_history
  (user_id, created_at desc nulls first, id desc nulls first) include (mood, mood_score);
--> statement-breakpoint
drop index idx_chat_history_user_created;
--> statement-breakpoint
alter index idx_chat_history_user_created_mood rename to idx_chat_history_user_created;
