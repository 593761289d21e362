-- Search under row level security: see docs/decisions/0022. The text that is searched stands folded in a
-- column of its own, an index of keys leads to it, and chatkeep.search() goes through both.

-- Part of every PostgreSQL, and an owner of a database may create them.
do $migration$
declare
  name text;
begin
  foreach name in array array['pg_trgm', 'btree_gin'] loop
    continue when exists (select from pg_extension where extname = name);
    if to_regnamespace('extensions') is null then
      create schema extensions;
    end if;
    execute format('create extension %I with schema extensions', name);
  end loop;
exception when insufficient_privilege or undefined_file or feature_not_supported then
  raise exception 'Search needs the extension %, which could not be created (%). Let an administrator run: create extension %',
    name, sqlerrm, name using errcode = sqlstate;
end $migration$;
--> statement-breakpoint
-- Bound to where the extension is, so that who calls it needs no right in its schema.
do $migration$ begin
  execute format('create function chatkeep.nearness(word text, t text) returns real language sql immutable
    strict parallel safe return %s.word_similarity(word, t)',
    (select extnamespace::regnamespace from pg_extension where extname = 'pg_trgm'));
end $migration$;
--> statement-breakpoint
-- Finds for whoever is signed in: sees the texts of everybody, acts through the functions below alone, and
-- is nobody that can log in.
do $$ begin
  create role chatkeep_search nologin noinherit;
exception when duplicate_object then null;
end $$;
--> statement-breakpoint
-- What a search compares: case, accents and width do not matter, whatever the database's locale. Decomposed
-- for compatibility (NFKD), in lower case, the two small sigmas one letter, without marks (of Latin, Greek,
-- Cyrillic, Hebrew and Arabic, and the variation selectors of emoji), composed again (NFC); and without
-- U+001F, which stands between the two texts. services/fold.ts folds alike. Folding twice is folding once.
create or replace function chatkeep.fold(t text) returns text language sql immutable parallel safe as $$
  select case when octet_length(t) = length(t)
    then replace(lower(t collate pg_catalog."C"), E'\x1f', '')
    else normalize(regexp_replace(
        translate(lower(normalize(t, NFKD) collate pg_catalog."und-x-icu") collate pg_catalog."C", 'ς', 'σ'),
        '[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\ufe00-\ufe0f\u001f]+',
        '', 'g'), NFC) collate pg_catalog."C"
    end
$$;
--> statement-breakpoint
-- Both texts of an exchange as they are searched.
create function chatkeep.search_text(message text, response text) returns text
  language sql immutable parallel safe as $$
  select chatkeep.fold(message) || E'\x1f' || chatkeep.fold(response)
$$;
--> statement-breakpoint
-- What the index holds of a text. Its ASCII goes to pg_trgm, a blank for each run of other characters: what
-- pg_trgm makes of those changes with the locale, and of two Chinese characters it makes nothing. Blanks at
-- both ends make every word one between two characters, for pg_trgm can do little with ^ and $. It costs
-- less than the planner is told, who is to ask the index for it and never to compute it for a whole history.
create function chatkeep.latin(t text) returns text
  language plpgsql immutable strict parallel safe cost 100000 set search_path = '' as $$
begin
  return ' ' || case when octet_length(t) = length(t) then t
    else regexp_replace(t, '[^\x01-\x7f]+', ' ', 'g') end || ' ';
end $$;
--> statement-breakpoint
-- All that is no letter, digit or blank of ASCII: each character by itself, and of those outside of ASCII
-- also two and three that stand side by side; from U+2E80 on no three, since Chinese says much with two.
-- A blank in two or three stands for what is left out beside them.
create function chatkeep.sign_keys(t text) returns text[]
  language plpgsql immutable strict parallel safe cost 100000 set search_path = '' as $$
declare
  keys text[] := string_to_array(regexp_replace(t, '[a-z0-9 \t\n\r\f\v\x1f]+', '', 'g'), null);
  runs text;
begin
  if octet_length(t) > length(t) then
    runs := regexp_replace(t, '[\x01-\x7f]+', ' ', 'g');
    keys := keys || string_to_array(concat_ws(E'\x1f',
      regexp_replace(runs, '(..)|.', E'\\1\x1f', 'g'),
      regexp_replace(substr(runs, 2), '(..)|.', E'\\1\x1f', 'g')), E'\x1f');
    runs := regexp_replace(runs, '[ \u2e80-\U0010ffff]+', ' ', 'g');
    keys := keys || string_to_array(concat_ws(E'\x1f',
      regexp_replace(runs, '(...)|.', E'\\1\x1f', 'g'),
      regexp_replace(substr(runs, 2), '(...)|.', E'\\1\x1f', 'g'),
      regexp_replace(substr(runs, 3), '(...)|.', E'\\1\x1f', 'g')), E'\x1f');
  end if;
  return keys;
end $$;
--> statement-breakpoint
-- The keys that a text has whatever stands around the needle in it: those that the needle has by itself
-- and beside any kind of character too.
create function chatkeep.needle_keys(needle text) returns text[]
  language plpgsql immutable strict parallel safe set search_path = '' as $$
declare
  keys text[] := chatkeep.sign_keys(needle);
  beside text;
begin
  if keys <> '{}' then
    foreach beside in array array['a', 'я', '字'] loop
      keys := array(
        select unnest(keys) intersect select unnest(chatkeep.sign_keys(beside || needle || beside)));
    end loop;
  end if;
  return array_remove(keys, '');
end $$;
--> statement-breakpoint
-- What a text in the index has to fulfil to be a hit, as a condition on its row h, for the index to answer;
-- null if there is nothing that it could answer. A hit fulfils it; who fulfils it may be none.
create function chatkeep.search_condition(words text[], tier int) returns text
  language plpgsql immutable strict parallel safe set search_path = '' as $$
declare
  keys constant text[] := array(select distinct k from unnest(words) w, unnest(chatkeep.needle_keys(w)) k);
  -- All of ASCII by itself: pg_trgm makes nothing of a class without an end, as [^a-z0-9].
  beside constant text := '[\x01-\x2f\x3a-\x60\x7b-\x7f]';
  word text;
  latin text;
  parts text[] := '{}';
  pairs text[] := '{}';
begin
  foreach word in array words loop
    latin := chatkeep.latin(word);
    latin := substr(latin, 2, length(latin) - 2);
    if tier < 2 and word ~ '^[a-z0-9]+$' and length(word) > tier then
      parts := parts || format('chatkeep.latin(h.search_text) ~ %L',
        beside || word || case tier when 0 then beside else '' end);
    elsif latin ~ '[a-z0-9]{4}' then
      -- Its words, without the short ones: their trigrams are everywhere, and reading where takes longest.
      parts := parts || array(select format('chatkeep.latin(h.search_text) like %L', '%' || run[1] || '%')
        from regexp_matches(latin, '[a-z0-9]{4,}', 'g') run);
    elsif latin ~ '[a-z0-9]{3}' then
      parts := parts || format('chatkeep.latin(h.search_text) like %L',
        '%' || regexp_replace(latin, '([\\%_])', '\\\1', 'g') || '%');
    elsif latin ~ '[a-z0-9]{2}' then
      -- No trigram; but every letter is followed by something.
      pairs := pairs || format('chatkeep.latin(h.search_text) ~ %L',
        substring(latin from '[a-z0-9]{2}') || '[\x01-\x7f]');
    end if;
  end loop;
  if keys <> '{}' then
    parts := parts || format('chatkeep.sign_keys(h.search_text) @> %L', keys);
  end if;
  return array_to_string(case parts when '{}' then nullif(pairs, '{}') else parts end, ' and ');
end $$;
--> statement-breakpoint
-- Null for as long as the reply is being written, whose text so far changes each second: such a row is
-- searched as it is. Null too for what was stored before this column, or past the triggers, until
-- chatkeep.fill_search() has come by.
alter table chat_history add column search_text text collate "C";
--> statement-breakpoint
create function chatkeep.fold_texts() returns trigger
  language plpgsql set search_path = '' as $$
begin
  if new.status in ('PENDING', 'STREAMING') then
    new.search_text := null;
  elsif tg_op = 'INSERT' or old.search_text is null
    or new.message <> old.message or new.response <> old.response then
    new.search_text := chatkeep.search_text(new.message, new.response);
  else
    new.search_text := old.search_text;
  end if;
  return new;
end $$;
--> statement-breakpoint
create trigger search_text before insert or update on chat_history
  for each row execute function chatkeep.fold_texts();
--> statement-breakpoint
-- As before, but for the column that is no part of the history: filling it in is no change.
drop trigger number_change on chat_history;
--> statement-breakpoint
create trigger number_change before insert or delete or update of user_id, id, seq, reply_seq, message,
  response, status, failure, personality_context, has_default_context, has_personality_context, mood,
  mood_score, created_at, updated_at on chat_history
  for each row execute function chatkeep.number_change();
--> statement-breakpoint
-- Who is asking, for functions whose owner may not look into Supabase's schema auth.
create function chatkeep.viewer_id() returns uuid
  language sql stable security definer set search_path = '' as 'select auth.uid()';
--> statement-breakpoint
-- Fills in the search text of ended exchanges that have none, in a range of the table's blocks; answers how
-- many. Not for users.
create function chatkeep.fill_search(first_block bigint, end_block bigint) returns bigint
  language plpgsql security definer set search_path = '' as $$
declare
  filled bigint;
begin
  -- The trigger puts the text in.
  update public.chat_history set search_text = null
  where ctid >= format('(%s,0)', first_block)::tid and ctid < format('(%s,0)', end_block)::tid
    and search_text is null and status not in ('PENDING', 'STREAMING');
  get diagnostics filled = row_count;
  return filled;
end $$;
--> statement-breakpoint
-- Whether every ended exchange has its search text. Not for users.
create function chatkeep.is_filled() returns boolean
  language sql stable security definer set search_path = '' as $$
  select not exists (select from public.chat_history
    where search_text is null and status not in ('PENDING', 'STREAMING'))
$$;
--> statement-breakpoint
-- The newest exchanges behind a place, and what of them is searched. Written into the statements that ask for
-- it, and planned with them.
create function chatkeep.walk(
  me uuid, within text, since timestamptz, until timestamptz, after_at timestamptz, after_id uuid, size int
) returns table (id uuid, created_at timestamptz, mood public.chat_mood, flag boolean, asked text, t text)
  language sql stable as $$
  select h.id, h.created_at, h.mood, h.has_personality_context,
    case within when 'MESSAGE' then split_part(h.t, E'\x1f', 1)
      when 'RESPONSE' then split_part(h.t, E'\x1f', 2) else h.t end, h.t
  from (
    select h.id, h.created_at, h.mood, h.has_personality_context,
      coalesce(h.search_text, chatkeep.search_text(h.message, h.response)) as t
    from public.chat_history h
    where h.user_id = me and h.created_at >= since and h.created_at < until
      and h.created_at < after_at + interval '1 microsecond'
      and (h.created_at, h.id) < (after_at, after_id)
    order by h.created_at desc, h.id desc
    limit size
  ) h
$$;
--> statement-breakpoint
-- Where such a walk of so many ends; no row where the history is shorter.
create function chatkeep.walk_end(
  me uuid, since timestamptz, until timestamptz, after_at timestamptz, after_id uuid, size int
) returns table (created_at timestamptz, id uuid)
  language sql stable as $$
  select h.created_at, h.id from public.chat_history h
  where h.user_id = me and h.created_at >= since and h.created_at < until
    and h.created_at < after_at + interval '1 microsecond'
    and (h.created_at, h.id) < (after_at, after_id)
  order by h.created_at desc, h.id desc offset size - 1 limit 1
$$;
--> statement-breakpoint
-- The ids of the user's exchanges in which a search finds all its needles, and none that is excluded: by
-- time, or by rank and then by time. Rank 0: each needle is a word of the text; 1: begins one; 2: is in it
-- (always with NEWEST); 3: nothing holds them all, and this one comes near, of those that are walked through
-- below. A definer's function, since row level security lets no index be used for what it cannot vouch for;
-- it looks at the rows of auth.uid() and at no others.
--
-- First down the time: what is common is found there, and whoever has few messages has no more. Where the
-- first few foretell that this would not fill the page, and for what is left of it, the index is asked, whose
-- hits are few then. Without the index, or without anything that it could answer, the walk goes on to the end.
--
-- The walks are planned once a session, whoever asks; EXECUTE plans for what is looked for.
create function chatkeep.search(
  needles text[], excluded text[], within text, sorted text, size int,
  after_at timestamptz, after_id uuid, after_rank int,
  since timestamptz, until timestamptz, moods public.chat_mood[], flags boolean[]
) returns table (id uuid, created_at timestamptz, rank int)
  language plpgsql stable security definer rows 50
  set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
declare
  me constant uuid := chatkeep.viewer_id();
  walked constant int := 500 + 25 * size;
  probed constant int := walked / 8;
  wanted int := size;
  got int;
  words text[];
  patterns text[];
  unwanted text[];
  indexed boolean;
  -- Letters and digits of any script, for where a word begins and ends.
  letters constant text := '[a-z0-9\u00c0-\u1fff\u2c00-\u2dff\u3040-\uffff\U00020000-\U0010ffff]';
  starts text[];
  whole text[];
  -- For the first page, and for those that follow upon such a one.
  nearby constant boolean := coalesce(after_rank = 3, after_at = 'infinity');
  from_at timestamptz := after_at;
  from_id uuid := after_id;
  edge_at timestamptz;
  edge_id uuid;
  step int;
  condition text;
  tier int;
  misspelt text;
  half int;
  head text;
  tail text;
  alike text;
begin
  select coalesce(array_agg(w), '{}'),
    coalesce(array_agg('%' || regexp_replace(w, '([\\%_])', '\\\1', 'g') || '%'), '{}')
    into words, patterns from (select chatkeep.fold(n) as w from unnest(needles) n) n;
  if excluded <> '{}' then
    unwanted := array(
      select '%' || regexp_replace(chatkeep.fold(n), '([\\%_])', '\\\1', 'g') || '%' from unnest(excluded) n);
  end if;
  if sorted = 'RELEVANCE' then
    starts := array(select '(?<!' || letters || ')'
      || regexp_replace(w, '([^a-z0-9\u0080-\U0010ffff])', '\\\1', 'g') from unnest(words) w);
    whole := array(select s || '(?!' || letters || ')' from unnest(starts) s);
  end if;

  foreach tier in array case sorted when 'RELEVANCE' then array[0, 1, 2] else array[2] end loop
    continue when after_rank = 3 or tier < after_rank and sorted = 'RELEVANCE';
    condition := null;
    step := probed;
    loop
      return query
        select h.id, h.created_at, tier
        from chatkeep.walk(me, within, since, until, from_at, from_id, step) h
        where h.mood = any(moods) and h.flag = any(flags)
          and h.asked like all (patterns) and (unwanted is null or not h.t like any (unwanted))
          and (sorted <> 'RELEVANCE' or tier = case
            when h.asked ~ all (whole) then 0 when h.asked ~ all (starts) then 1 else 2 end)
        limit wanted;
      get diagnostics got = row_count;
      wanted := wanted - got;
      if wanted = 0 then
        return;
      end if;
      edge_at := null;
      exit when step is null;
      select h.created_at, h.id into edge_at, edge_id
        from chatkeep.walk_end(me, since, until, from_at, from_id, step) h;
      exit when edge_at is null or step > probed;
      from_at := edge_at;
      from_id := edge_id;
      if indexed is null then
        indexed := 2 = (select count(*) from pg_catalog.pg_index i
          where i.indisvalid and i.indexrelid in (
            to_regclass('public.idx_chat_history_search'), to_regclass('public.idx_chat_history_unfolded')));
      end if;
      condition := case when indexed then chatkeep.search_condition(words, tier) end;
      step := case when condition is not null then walked - probed end;
      exit when condition is not null and 16 * got < size and exists (
        select from chatkeep.walk_end(me, since, until, from_at, from_id, step));
    end loop;
    if edge_at is not null then
      return query execute format($query$
        select h.id, h.created_at, $1 from (
          select h.id, h.created_at, h.mood, h.has_personality_context,
            case $2 when 'MESSAGE' then split_part(h.t, E'\x1f', 1)
              when 'RESPONSE' then split_part(h.t, E'\x1f', 2) else h.t end as asked, h.t
          from (
            select h.id, h.created_at, h.mood, h.has_personality_context, h.search_text as t
            from public.chat_history h
            where %s and h.search_text is not null
              and h.user_id = $3 and h.created_at >= $4 and (h.created_at, h.id) < ($5, $6)
            union all
            select h.id, h.created_at, h.mood, h.has_personality_context,
              chatkeep.search_text(h.message, h.response)
            from public.chat_history h
            where h.search_text is null
              and h.user_id = $3 and h.created_at >= $4 and (h.created_at, h.id) < ($5, $6)
            order by created_at desc, id desc
            offset 0
          ) h
        ) h
        where h.mood = any($7) and h.has_personality_context = any($8)
          and h.asked like all ($9) and ($10 is null or not h.t like any ($10))
          and ($11 <> 'RELEVANCE' or $1 = case
            when h.asked ~ all ($12) then 0 when h.asked ~ all ($13) then 1 else 2 end)
        limit $14 $query$, condition)
      using tier, within, me, since, edge_at, edge_id, moods, flags, patterns, unwanted, sorted, whole,
        starts, wanted;
      get diagnostics got = row_count;
      wanted := wanted - got;
      if wanted = 0 then
        return;
      end if;
    end if;
    from_at := 'infinity';
    from_id := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  end loop;

  if nearby and wanted = size then
    -- The word that is looked for in another spelling: at least a half of it as it is, and about as long.
    misspelt := (select w from unnest(words) w where w ~ '^[a-z0-9]{4,}$' order by length(w) desc limit 1);
    half := length(misspelt) / 2;
    alike := format('(?<!%1$s)(?:%2$s[a-z0-9]{%4$s,%5$s}|[a-z0-9]{%4$s,%5$s}%3$s)(?!%1$s)', letters,
      left(misspelt, half), right(misspelt, half), length(misspelt) - half - 1, length(misspelt) - half + 1);
    head := left(misspelt, half);
    tail := right(misspelt, half);
    return query
      select h.id, h.created_at, 3
      from chatkeep.walk(me, within, since, until, after_at, after_id, walked) h
      where misspelt is not null and h.mood = any(moods) and h.flag = any(flags)
        and (unwanted is null or not h.t like any (unwanted))
        -- The halves first: a regular expression takes ten times as long.
        and case when (position(head in h.asked) > 0 or position(tail in h.asked) > 0) and h.asked ~ alike
          then not exists (
          select from unnest(words) w where position(w in h.asked) = 0
            and chatkeep.nearness(w, h.asked) < case w when misspelt then 0.3 else 0.4 end) end
      limit size;
  end if;
end $$;
--> statement-breakpoint
CREATE POLICY "Searches can see messages" ON "chat_history" AS PERMISSIVE FOR SELECT TO "chatkeep_search" USING (true);--> statement-breakpoint
CREATE POLICY "Searches can fill in what they search" ON "chat_history" AS PERMISSIVE FOR UPDATE TO "chatkeep_search" USING (true);
--> statement-breakpoint
grant usage on schema public, chatkeep to chatkeep_search;
--> statement-breakpoint
grant select, update (search_text) on chat_history to chatkeep_search;
--> statement-breakpoint
revoke execute on all functions in schema chatkeep from public;
--> statement-breakpoint
-- Who writes a message computes what the index holds of it.
do $migration$
declare
  role text;
begin
  for role in select rolname from pg_roles where rolname in ('authenticated', 'service_role') loop
    execute format('grant execute on function chatkeep.fold(text), chatkeep.search_text(text, text),
      chatkeep.latin(text), chatkeep.sign_keys(text), chatkeep.viewer_id(),
      chatkeep.search(text[], text[], text, text, int, timestamptz, uuid, int, timestamptz, timestamptz,
        public.chat_mood[], boolean[]) to %I', role);
  end loop;
end $migration$;
--> statement-breakpoint
grant execute on function chatkeep.fold(text), chatkeep.search_text(text, text), chatkeep.latin(text),
  chatkeep.sign_keys(text), chatkeep.needle_keys(text), chatkeep.search_condition(text[], int),
  chatkeep.nearness(text, text), chatkeep.viewer_id(),
  chatkeep.walk(uuid, text, timestamptz, timestamptz, timestamptz, uuid, int),
  chatkeep.walk_end(uuid, timestamptz, timestamptz, timestamptz, uuid, int) to chatkeep_search;
--> statement-breakpoint
-- Their owner sees every message, and nothing else may be done as it. To hand a function over one has to be
-- a member for that moment, and the new owner has to be allowed to own something here.
do $migration$
declare
  migrator constant name := current_user;
  is_superuser boolean := (select rolsuper from pg_roles where rolname = current_user);
  was_member boolean := pg_has_role(current_user, 'chatkeep_search', 'member');
begin
  grant create on schema chatkeep to chatkeep_search;
  if not is_superuser then
    execute format('grant chatkeep_search to %I %s', current_user,
      case when current_setting('server_version_num')::int >= 160000
        then 'with inherit false, set true' else '' end);
  end if;
  alter function chatkeep.search(text[], text[], text, text, int, timestamptz, uuid, int, timestamptz,
    timestamptz, public.chat_mood[], boolean[]) owner to chatkeep_search;
  alter function chatkeep.fill_search(bigint, bigint) owner to chatkeep_search;
  alter function chatkeep.is_filled() owner to chatkeep_search;
  set local role chatkeep_search;
  execute format('grant execute on function chatkeep.fill_search(bigint, bigint), chatkeep.is_filled() to %I',
    migrator);
  execute format('set local role %I', migrator);
  if not is_superuser then
    if current_setting('server_version_num')::int >= 160000 then
      execute format('grant chatkeep_search to %I with inherit false, set false', current_user);
    elsif not was_member then
      execute format('revoke chatkeep_search from %I', current_user);
    end if;
  end if;
  revoke create on schema chatkeep from chatkeep_search;
end $migration$;
