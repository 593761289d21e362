-- createdAt goes out in milliseconds, and a client that keeps a history of its own puts it in order by
-- them: two messages of one user never share one. Else 0002 stands as it is.
create or replace function chatkeep.number_change() returns trigger
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
    -- of numbers, even when the server's clock is set back. Each has a millisecond of its own.
    insert into public.chat_counters as c (user_id, seq, last_created_at)
    values (new.user_id, 1, date_trunc('milliseconds', clock_timestamp()))
    on conflict (user_id) do update set
      seq = c.seq + 1,
      last_created_at = greatest(
        date_trunc('milliseconds', clock_timestamp()),
        date_trunc('milliseconds', c.last_created_at) + interval '1 millisecond'
      )
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
