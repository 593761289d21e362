import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase } from './kit/database.ts';

/** Of the one with a long history; whoever walks through it all reads at least so many rows. */
const HEAVY = 20_000;
const OTHERS = 20;
const OTHERS_HAVE = 300;
/** An eighth of a page's walk down the time, and the hits of the index; with the search for near spellings. */
const FEW = 2_500;

const heavy = randomUUID();
const light = randomUUID();
const ids = [heavy, light, ...Array.from({ length: OTHERS }, () => randomUUID())];

let owner: postgres.Sql;
let plans: Plan[] = [];

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly Plan[];
}

beforeAll(async () => {
  const { ownerUrl } = await createTestDatabase();
  owner = postgres(ownerUrl, {
    max: 1,
    onnotice: ({ message = '' }) => {
      const json = /plan:\s*(\{.*\})\s*$/s.exec(message)?.[1];
      if (json) plans.push(JSON.parse(json).Plan);
    },
  });
  await owner`insert into auth.users (id) select unnest(${ids}::uuid[])`;
  await owner.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    for (const id of ids) {
      const count = id === heavy ? HEAVY : OTHERS_HAVE;
      // Every hundredth of the older half has a rare word; "zebra" is in nobody's but others'.
      await tx`
        insert into chat_history (user_id, seq, reply_seq, message, response, has_personality_context, mood,
          created_at, updated_at, search_text)
        select ${id}, n, n, message, response, n % 3 = 0, 'NEUTRAL', at, at,
          chatkeep.search_text(message, response)
        from (
          select n, '2020-01-01'::timestamptz + n * interval '1 minute' as at,
            'The garden, day ' || n || case when n * 2 < ${count} and n % 100 = 0 then ' quixotic xylophone 東京 привет 👍' else '' end
              || case when ${id !== heavy} then ' zebra 大阪' else '' end as message,
            'Roses want water: ' || md5(n::text) || ' and a pole for the beans.' as response
          from generate_series(1, ${count}::int) n
        ) t`;
    }
  });
  await owner`vacuum analyze chat_history`;
  await owner.unsafe(`
    load 'auto_explain';
    set auto_explain.log_min_duration = 0;
    set auto_explain.log_nested_statements = on;
    set auto_explain.log_analyze = on;
    set auto_explain.log_timing = off;
    set auto_explain.log_format = json;
    set auto_explain.log_level = notice;
  `);
});
afterAll(async () => {
  await owner?.end();
});
beforeEach(() => {
  plans = [];
});

interface Asked {
  readonly needles: readonly string[];
  readonly sorted?: 'NEWEST' | 'RELEVANCE';
  readonly size?: number;
}

async function search(userId: string, { needles, sorted = 'NEWEST', size = 21 }: Asked) {
  return owner.begin(async (tx) => {
    await tx`select set_config('role', 'authenticated', true),
      set_config('request.jwt.claims', ${JSON.stringify({ sub: userId })}, true)`;
    plans = [];
    return tx<{ id: string; rank: number }[]>`
      select id, rank from chatkeep.search(${needles as string[]}::text[], '{}', 'BOTH', ${sorted}, ${size},
        'infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff', null, '-infinity', 'infinity',
        '{POSITIVE,NEUTRAL,NEGATIVE}', '{t,f}')`;
  });
}

function* nodesOf(plan: Plan): Generator<Plan> {
  yield plan;
  for (const inner of plan.Plans ?? []) yield* nodesOf(inner);
}

/** How many rows of the table, or entries of an index that tells all, were looked at. */
function rowsRead(): number {
  const nodes = plans.flatMap((plan) => [...nodesOf(plan)]);
  return nodes
    .filter((node) => node['Relation Name'] === 'chat_history')
    .map(
      (node) =>
        (node['Actual Rows'] +
          (node['Rows Removed by Filter'] ?? 0) +
          (node['Rows Removed by Index Recheck'] ?? 0)) *
        node['Actual Loops'],
    )
    .reduce((sum, rows) => sum + rows, 0);
}

const isUsed = (index: string) =>
  plans.flatMap((plan) => [...nodesOf(plan)]).some((node) => node['Index Name'] === index);

const isScanned = () =>
  plans.flatMap((plan) => [...nodesOf(plan)]).some((node) => node['Node Type'] === 'Seq Scan');

const COMMON = ['garden', 'gard', 'en', 'e', 'roses want'];
const RARE = [
  'quixotic',
  'uixoti',
  'xylo',
  'qu',
  'quixotic xylophone',
  '東京',
  '京',
  'привет',
  'ив',
  '👍',
];
const ABSENT = [
  'zebra',
  'qz',
  'zeb',
  '大阪',
  '阪',
  'zebra garden',
  'Ж',
  '👎',
  'gardener of zebras',
];

describe('the way of a search through a long history', () => {
  it.each(COMMON)('ends early for what is common: %s', async (needle) => {
    expect(await search(heavy, { needles: [needle] })).toHaveLength(21);
    expect(rowsRead()).toBeLessThan(100);
  });

  it.each(RARE)('goes by the index for what is rare, and finds all: %s', async (needle) => {
    expect(await search(heavy, { needles: [needle], size: 101 })).toHaveLength(99);
    expect(isUsed('idx_chat_history_search')).toBe(true);
    // A longer page, a longer walk.
    expect(rowsRead()).toBeLessThan(2 * FEW);
    expect(isScanned()).toBe(false);
  });

  it.each(ABSENT)('goes by the index for what only others have: %s', async (needle) => {
    expect(await search(heavy, { needles: [needle] })).toEqual([]);
    expect(isUsed('idx_chat_history_search')).toBe(true);
    expect(rowsRead()).toBeLessThan(FEW);
    expect(isScanned()).toBe(false);
  });

  it.each([[['garden']], [['quixotic']], [['zebra']]])('by relevance too: %j', async (needles) => {
    await search(heavy, { needles, sorted: 'RELEVANCE' });
    expect(rowsRead()).toBeLessThan(4 * FEW);
    expect(isScanned()).toBe(false);
  });
});

describe('the way of a search through a short history', () => {
  it.each([...COMMON, ...RARE, ...ABSENT])('needs no index: %s', async (needle) => {
    await search(light, { needles: [needle] });
    expect(rowsRead()).toBeLessThanOrEqual(3 * OTHERS_HAVE);
    expect(isScanned()).toBe(false);
  });
});
