alter table chat_personalities force row level security;
--> statement-breakpoint
-- Supabase's default privileges hand new tables to everybody who is not signed in, too.
do $$ begin
  if exists (select from pg_roles where rolname = 'anon') then
    revoke all on chat_personalities from anon;
  end if;
end $$;
--> statement-breakpoint
grant select, insert, update, delete on chat_personalities to authenticated;
