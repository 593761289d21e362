alter table chat_counters force row level security;
--> statement-breakpoint
alter table chat_history force row level security;
--> statement-breakpoint
alter table chat_deletions force row level security;
--> statement-breakpoint
alter table chat_reply_leases force row level security;
--> statement-breakpoint
-- Supabase's default privileges hand new tables to everybody who is not signed in, too.
do $$ begin
  if exists (select from pg_roles where rolname = 'anon') then
    revoke all on chat_counters, chat_history, chat_deletions, chat_reply_leases from anon;
  end if;
end $$;
--> statement-breakpoint
grant usage on schema public, chatkeep to authenticated, chatkeep_worker;
--> statement-breakpoint
grant select, insert, update, delete
  on chat_counters, chat_history, chat_deletions, chat_reply_leases to authenticated;
--> statement-breakpoint
grant select, update on chat_reply_leases to chatkeep_worker;
--> statement-breakpoint
-- Whatever changes a user's history takes the user's next number in the same statement, whoever sends
-- that statement. The lock on the counter's row makes the numbers visible in order. Our own writers take
-- it first (chatkeep.open_history), so that they cannot deadlock and leave no gaps; a gap that another
-- program leaves (on conflict do nothing) is harmless.
create function chatkeep.next_seq(for_user uuid) returns bigint
  language sql set search_path = '' as $$
  insert into public.chat_counters as c (user_id, seq) values (for_user, 1)
  on conflict (user_id) do update set seq = c.seq + 1
  returning seq
$$;
--> statement-breakpoint
create function chatkeep.number_change() returns trigger
  language plpgsql set search_path = '' as $$
declare
  at timestamptz;
begin
  if tg_op = 'DELETE' then
    -- Deeper than 1: the account itself is being deleted, and its counter and tombstones with it.
    if pg_trigger_depth() = 1 then
      insert into public.chat_deletions (user_id, id, seq)
      values (old.user_id, old.id, chatkeep.next_seq(old.user_id));
    end if;
    return old;
  end if;

  new.has_personality_context := new.personality_context is not null;
  if tg_op = 'INSERT' then
    -- created_at is taken under the counter's lock, and never back: the order of time is the order
    -- of numbers, even when the server's clock is set back.
    insert into public.chat_counters as c (user_id, seq, last_created_at)
    values (new.user_id, 1, clock_timestamp())
    on conflict (user_id) do update set
      seq = c.seq + 1,
      last_created_at = greatest(clock_timestamp(), c.last_created_at + interval '1 microsecond')
    returning c.seq, c.last_created_at into new.seq, at;
    new.created_at := coalesce(new.created_at, at);
    new.updated_at := new.created_at;
    if new.status not in ('PENDING', 'STREAMING') then
      new.reply_seq := new.seq;
    end if;
    return new;
  end if;

  new.updated_at := clock_timestamp();
  -- The text so far of a running reply is no change of the history: it is written about once a
  -- second, and subscribers get it as deltas.
  if new.status = 'STREAMING' and old.status in ('PENDING', 'STREAMING') then
    return new;
  end if;
  new.seq := chatkeep.next_seq(new.user_id);
  if new.status in ('PENDING', 'STREAMING') then
    new.reply_seq := null;
  elsif old.status in ('PENDING', 'STREAMING') then
    new.reply_seq := new.seq;
  end if;
  return new;
end $$;
--> statement-breakpoint
create trigger number_change before insert or update or delete on chat_history
  for each row execute function chatkeep.number_change();
--> statement-breakpoint
-- First statement of every change: the user is known, has a counter, and that counter is locked.
create function chatkeep.open_history() returns bigint
  language plpgsql set search_path = '' as $$
declare
  current bigint;
begin
  select c.seq into current from public.chat_counters c where c.user_id = auth.uid() for update;
  if not found then
    begin
      perform chatkeep.register_user();
      insert into public.chat_counters as c (user_id) values (auth.uid())
      on conflict (user_id) do update set seq = c.seq
      returning c.seq into current;
    exception when foreign_key_violation then
      -- The token is good, but whose it was is no user of Supabase's any more.
      raise invalid_authorization_specification using message = 'no such user';
    end;
  end if;
  return current;
end $$;
--> statement-breakpoint
-- Who is asking. A definer's function, because on Supabase auth.users is not readable otherwise; it
-- gives the caller's own row and nothing else.
create function chatkeep.viewer() returns table (id uuid, email text, created_at timestamptz)
  language sql stable security definer set search_path = '' as $$
  select u.id, u.email::text, u.created_at from auth.users u where u.id = auth.uid()
$$;
--> statement-breakpoint
-- What a search compares: case does not matter, in any script, whatever the database's locale; the two
-- small sigmas are one letter. services/search.ts folds alike to place its highlights.
create function chatkeep.fold(t text) returns text language sql immutable parallel safe as $$
  select translate(lower(t collate pg_catalog."und-x-icu"), 'ς', 'σ')
$$;
--> statement-breakpoint
revoke execute on all functions in schema chatkeep from public;
--> statement-breakpoint
grant execute on all functions in schema chatkeep to authenticated;
--> statement-breakpoint
do $$ begin
  if exists (select from pg_roles where rolname = 'service_role') then
    grant usage on schema chatkeep to service_role;
    grant execute on all functions in schema chatkeep to service_role;
  end if;
end $$;
