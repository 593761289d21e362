import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditDatabase } from '../../src/db/audit.ts';
import { createTestDatabase, type TestDatabase } from '../kit/database.ts';
import { report } from '../kit/trials.ts';

let database: TestDatabase;
let owner: postgres.Sql;
let login: postgres.Sql;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = postgres(database.ownerUrl, { max: 1, onnotice: () => {} });
  login = postgres(database.url, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await owner?.end();
  await login?.end();
});

interface Damage {
  readonly done: string;
  readonly undone: string;
  readonly found: string;
}

const OPEN_FUNCTION = `create function chatkeep.peek() returns bigint language sql
  security definer set search_path = '' as 'select count(*) from public.chat_history'`;

/** What an audit of the database has to find, each by itself. */
const DAMAGES: readonly Damage[] = [
  {
    done: 'alter table chat_history disable row level security',
    undone: 'alter table chat_history enable row level security',
    found: 'Row level security is off on public.chat_history.',
  },
  {
    done: 'alter table auth.users no force row level security',
    undone: 'alter table auth.users force row level security',
    found: 'Row level security is not forced on auth.users: its owner goes round it.',
  },
  {
    done: 'create table chatkeep.notes (user_id uuid)',
    undone: 'drop table chatkeep.notes',
    found: 'Row level security is off on chatkeep.notes.',
  },
  {
    done: `create table elsewhere (like chat_deletions including all);
      alter table elsewhere inherit chat_deletions`,
    undone: 'drop table elsewhere',
    found: 'Row level security is off on public.elsewhere.',
  },
  {
    done: 'alter policy "Users can view own messages" on chat_history rename to p; drop policy p on chat_history',
    undone: `create policy "Users can view own messages" on chat_history for select to authenticated
      using ((select auth.uid()) = user_id)`,
    found: 'authenticated may SELECT public.chat_history, but no policy says which rows.',
  },
  {
    done: 'alter policy "Users can delete own deletions" on chat_deletions to chatkeep_worker',
    undone: 'alter policy "Users can delete own deletions" on chat_deletions to authenticated',
    found: 'authenticated may DELETE public.chat_deletions, but no policy says which rows.',
  },
  {
    done: 'create policy extra on chat_counters for select using (true)',
    undone: 'drop policy extra on chat_counters',
    found:
      'The policy "extra" on public.chat_counters lets through more than a user\'s own rows: true.',
  },
  {
    done: `create policy extra on chat_history for update to authenticated
      using ((select auth.uid()) = user_id) with check (auth.uid() is not null)`,
    undone: 'drop policy extra on chat_history',
    found:
      'The policy "extra" on public.chat_history lets through more than a user\'s own rows: (auth.uid() IS NOT NULL).',
  },
  {
    done: 'create policy extra on chat_history for select to chatkeep_worker using (true)',
    undone: 'drop policy extra on chat_history',
    found:
      'The policy "extra" on public.chat_history lets through more than a user\'s own rows: true.',
  },
  {
    done: 'grant truncate on chat_history to authenticated',
    undone: 'revoke truncate on chat_history from authenticated',
    found: 'authenticated may TRUNCATE public.chat_history, where no policy holds.',
  },
  {
    done: 'grant select on chat_personalities to public',
    undone: 'revoke select on chat_personalities from public',
    found: 'PUBLIC may SELECT public.chat_personalities without having signed in.',
  },
  {
    done: 'grant select (message) on chat_history to public',
    undone: 'revoke select (message) on chat_history from public',
    found: 'PUBLIC may SELECT public.chat_history without having signed in.',
  },
  {
    done: 'create sequence chatkeep.numbers; grant usage on sequence chatkeep.numbers to public',
    undone: 'drop sequence chatkeep.numbers',
    found: 'PUBLIC may USAGE chatkeep.numbers without having signed in.',
  },
  {
    done: 'grant select (message) on chat_history to chatkeep_worker',
    undone: 'revoke select (message) on chat_history from chatkeep_worker',
    found: 'chatkeep_worker may SELECT public.chat_history; it needs nothing but the leases.',
  },
  {
    done: 'create view all_messages as select * from chat_history',
    undone: 'drop view all_messages',
    found: "The view public.all_messages reads with its owner's rights: make it security_invoker.",
  },
  {
    done: 'create view all_messages with (security_invoker = off) as select 1 from chat_history',
    undone: 'drop view all_messages',
    found: "The view public.all_messages reads with its owner's rights: make it security_invoker.",
  },
  {
    done: 'create materialized view chatkeep.copy as select * from chat_history',
    undone: 'drop materialized view chatkeep.copy',
    found:
      'The materialized view chatkeep.copy keeps rows of everybody, without row level security.',
  },
  {
    done: 'alter function chatkeep.viewer() reset search_path',
    undone: "alter function chatkeep.viewer() set search_path = ''",
    found: "The function chatkeep.viewer() has its owner's rights and no fixed search_path.",
  },
  {
    done: 'alter function chatkeep.next_seq(uuid) reset search_path',
    undone: "alter function chatkeep.next_seq(uuid) set search_path = ''",
    found: 'The function chatkeep.next_seq(uuid) has no fixed search_path.',
  },
  {
    done: OPEN_FUNCTION,
    undone: 'drop function chatkeep.peek()',
    found: 'PUBLIC may execute the function chatkeep.peek().',
  },
  {
    done: 'alter function chatkeep.fold(text) leakproof',
    undone: 'alter function chatkeep.fold(text) not leakproof',
    found: 'The function chatkeep.fold(text) is LEAKPROOF: it is called before row level security.',
  },
  {
    done: 'grant create on schema public to public',
    undone: 'revoke create on schema public from public',
    found: 'PUBLIC may CREATE in the schema public.',
  },
  {
    done: 'grant usage on schema chatkeep to public',
    undone: 'revoke usage on schema chatkeep from public',
    found: 'PUBLIC may USAGE in the schema chatkeep.',
  },
  {
    done: 'alter role authenticated bypassrls',
    undone: 'alter role authenticated nobypassrls',
    found: 'The role authenticated goes round row level security.',
  },
  {
    done: 'alter table chat_history owner to authenticated',
    undone: `alter table chat_history owner to postgres;
      grant select, insert, update, delete on chat_history to authenticated`,
    found: 'The role authenticated owns public.chat_history.',
  },
];

const audit = () => login.begin('read only', auditDatabase);

describe('the audit of the database', () => {
  it('finds nothing in a new one, and has looked at all that is in it', async () => {
    expect(await audit()).toEqual([]);
    // Whatever a migration has made is looked at: where everything is open, all of it is found.
    const tables = await owner<{ name: string }[]>`
      select oid::regclass::text as name from pg_class
      where relkind not in ('i', 'I', 't', 'c')
        and relnamespace::regnamespace::text !~ '^(pg_|information_schema|drizzle)'`;
    const isOpen = (name: string) => `PUBLIC may SELECT ${name} without having signed in.`;
    const inFull = tables.map(({ name }) => (name.includes('.') ? name : `public.${name}`));
    for (const { name } of tables) await owner.unsafe(`grant select on ${name} to public`);
    expect(await audit()).toEqual(expect.arrayContaining([...inFull.map(isOpen).toSorted()]));
    for (const { name } of tables) await owner.unsafe(`revoke select on ${name} from public`);
    expect(await audit()).toEqual([]);
    // The migrations' own table is the owner's alone.
    const others = await owner`select 1 from pg_class c, aclexplode(c.relacl) acl
      where relnamespace = 'drizzle'::regnamespace and acl.grantee <> relowner`;
    expect(others).toHaveLength(0);
  });

  it('finds each thing that is wrong', async ({ task }) => {
    const violations: string[] = [];
    for (const { done, undone, found } of DAMAGES) {
      await owner.unsafe(done);
      const findings = await audit();
      await owner.unsafe(undone);
      if (!findings.includes(found)) violations.push(`${done}: not found in ${findings.join(' ')}`);
      const left = await audit();
      if (left.length > 0) violations.push(`${undone}: ${left.join(' ')}`);
    }
    report({ task }, 'database', { trials: DAMAGES.length, of: 'things broken', violations });
  });
});
