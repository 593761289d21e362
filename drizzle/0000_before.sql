-- What the tables lean on: Supabase's roles and auth schema. Where they exist already (Supabase),
-- they are left alone; elsewhere just enough of them is made, under the same names.

do $$ begin
  create role authenticated nologin noinherit;
exception when duplicate_object then null;
end $$;
--> statement-breakpoint
-- Keeps running replies alive and finds abandoned ones, across users; sees ids, never texts.
do $$ begin
  create role chatkeep_worker nologin noinherit;
exception when duplicate_object then null;
end $$;
--> statement-breakpoint
create schema if not exists chatkeep;
--> statement-breakpoint
comment on schema chatkeep is 'Functions of chatkeep; its tables are public.chat_*';
--> statement-breakpoint
do $migration$ begin
  if to_regclass('auth.users') is not null then
    -- Supabase: its users come from its own sign-up.
    create function chatkeep.register_user() returns void
      language sql set search_path = '' as 'select';
    return;
  end if;

  create schema if not exists auth;
  create table auth.users (
    id uuid primary key,
    email text,
    created_at timestamptz not null default now()
  );
  alter table auth.users enable row level security;
  alter table auth.users force row level security;

  -- As Supabase defines it, so that policies mean the same on both.
  create function auth.uid() returns uuid language sql stable set search_path = '' as $$
    select coalesce(
      nullif(current_setting('request.jwt.claim.sub', true), ''),
      nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid
  $$;

  create policy "Users can view themselves" on auth.users
    for select using ((select auth.uid()) = id);
  create policy "Users can register themselves" on auth.users
    for insert with check ((select auth.uid()) = id);
  create policy "Users can update themselves" on auth.users
    for update using ((select auth.uid()) = id) with check ((select auth.uid()) = id);
  create policy "Users can delete themselves" on auth.users
    for delete using ((select auth.uid()) = id);
  grant usage on schema auth to authenticated;
  grant select (id, email, created_at), insert (id, email) on auth.users to authenticated;

  -- A verified token's user is added on first use.
  create function chatkeep.register_user() returns void language sql set search_path = '' as $$
    insert into auth.users (id, email)
    values (
      auth.uid(),
      nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
    )
    on conflict (id) do nothing
  $$;
end $migration$;
