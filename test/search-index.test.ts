import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createDatabase } from '../src/db/database.ts';
import { createMessageStore } from '../src/db/messages.ts';
import { buildSmallSearch, createSearchBuilder } from '../src/db/search-index.ts';
import { createLog } from '../src/log.ts';
import { createTestDatabase, type TestDatabase } from './kit/database.ts';

/** So many are walked through before the index is asked, for a page of 20. */
const WALKED = 1_025;

let database: TestDatabase;
let owner: postgres.Sql;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = postgres(database.ownerUrl, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await owner?.end();
});

interface Asked {
  readonly needles: readonly string[];
  readonly excluded?: readonly string[];
  readonly within?: 'BOTH' | 'MESSAGE' | 'RESPONSE';
  readonly order?: 'NEWEST' | 'RELEVANCE';
  readonly size?: number;
}

/** A user's history, oldest first, as another program writes it; with newer messages that hold nothing. */
async function historyOf(texts: readonly (readonly [string, string])[], newer = WALKED) {
  const userId = randomUUID();
  await owner`insert into auth.users (id) values (${userId})`;
  for (const [message, response] of texts)
    await owner`insert into chat_history (user_id, message, response) values (${userId}, ${message}, ${response})`;
  await owner`insert into chat_history (user_id, message) select ${userId}, '' from generate_series(1, ${newer}::int)`;
  const lanes = createDatabase({ url: database.url });
  onTestFinished(() => lanes.close());
  const messages = createMessageStore(lanes);
  return {
    userId,
    async find({
      needles,
      excluded = [],
      within = 'BOTH',
      order = 'NEWEST',
      size = 20,
    }: Asked): Promise<string[]> {
      const { hits } = await messages.search(
        { sub: userId },
        { needles, excluded, within, order, size },
      );
      return hits.map(
        ({ row, rank }) => `${row.message}|${row.response}${rank === 2 ? '' : ` ${rank}`}`,
      );
    },
  };
}

/** As services/fold.ts, for what comes up here. */
const folded = (text: string) =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f]|[\u064b-\u065f]|[\ufe00-\ufe0f]/g, '')
    .normalize('NFC');

const LETTERS = [
  ...'aabbcde019 _%\\.+-\n\'"{},',
  ...['é', 'É', 'ß', 'я', 'й', 'ж', '京', '東', '都', 'が', 'ｶﾞ', '한', '👍', '❤️', '—', 'ا', 'مُ'],
];
const text = fc.string({ unit: fc.constantFrom(...LETTERS), maxLength: 12 });

describe('the index', () => {
  it('leads to every text that holds the needles, and to no other', async () => {
    const texts = fc.sample(fc.tuple(text, text), { numRuns: 200, seed: 7 });
    const { find } = await historyOf(texts);
    const needle = fc
      .tuple(fc.constantFrom(...texts.flat()), fc.nat(), fc.integer({ min: 1, max: 5 }))
      .map(([from, at, length]) => {
        const letters = [...from];
        return letters
          .slice(at % (letters.length + 1))
          .slice(0, length)
          .join('');
      })
      .filter((needle) => folded(needle) !== '');
    const asked = fc.record({
      needles: fc.array(needle, { minLength: 1, maxLength: 2 }),
      excluded: fc.array(needle, { maxLength: 1 }),
      within: fc.constantFrom('BOTH' as const, 'MESSAGE' as const, 'RESPONSE' as const),
    });
    await fc.assert(
      fc.asyncProperty(asked, async ({ needles, excluded, within }) => {
        const expected = texts.filter(([message, response]) => {
          const holds = (needle: string, places: readonly string[]) =>
            places.some((place) => folded(place).includes(folded(needle)));
          const places =
            within === 'MESSAGE'
              ? [message]
              : within === 'RESPONSE'
                ? [response]
                : [message, response];
          return (
            needles.every((needle) => holds(needle, places)) &&
            !excluded.some((needle) => holds(needle, [message, response]))
          );
        });
        const found = await find({ needles, excluded, within });
        expect(found.filter((hit) => !hit.endsWith(' 3'))).toEqual(
          expected
            .toReversed()
            .slice(0, 20)
            .map(([message, response]) => `${message}|${response}`),
        );
      }),
      { numRuns: 600 },
    );
  });

  it('holds a long text of any script', async () => {
    const han = Array.from({ length: 30_000 }, (_, i) =>
      String.fromCodePoint(0x4e00 + ((i * 7919) % 20_000)),
    );
    const { find } = await historyOf(
      [
        [han.join(''), 'xyz '.repeat(20_000)],
        ['', 'abcdefghij'.repeat(5_000)],
      ],
      WALKED,
    );
    // As long as a query may be, and longer when it is folded than anything else.
    expect(await find({ needles: ['ﷺ'.repeat(200)], order: 'RELEVANCE' })).toEqual([]);
    expect(await find({ needles: ['ja'], order: 'RELEVANCE' })).toHaveLength(1);
    expect(await find({ needles: ['abcdefghij'.repeat(20)], order: 'RELEVANCE' })).toHaveLength(1);
    expect(await find({ needles: [han.slice(29_998).join('')] })).toHaveLength(1);
    expect(await find({ needles: [han[5] as string, 'z x'] })).toHaveLength(1);
  });
});

describe('RELEVANCE', () => {
  it.each([0, WALKED])(
    'puts words before beginnings before parts, then the newest, behind %i others',
    async (newer) => {
      const { find } = await historyOf(
        [
          ['a ship', ''],
          ['hardship', ''],
          ['shipping', 'my ship'],
          ['shipmate', ''],
          ['midship', ''],
          ['ships', ''],
        ],
        newer,
      );
      const ranked = [
        'shipping|my ship 0',
        'a ship| 0',
        'ships| 1',
        'shipmate| 1',
        'midship|',
        'hardship|',
      ];
      expect(await find({ needles: ['ship'], order: 'RELEVANCE' })).toEqual(ranked);
      expect(await find({ needles: ['ship'], order: 'RELEVANCE', size: 3 })).toEqual(
        ranked.slice(0, 3),
      );
    },
  );
});

describe('near spellings', () => {
  it.each([0, 900])('are found where nothing else is, behind %i others', async (newer) => {
    const { find } = await historyOf(
      [
        ['The weather in Lisbon', ''],
        ['My father', 'the leather'],
        ['Accommodation', ''],
      ],
      newer,
    );
    expect(await find({ needles: ['wether'] })).toEqual([
      'My father|the leather 3',
      'The weather in Lisbon| 3',
    ]);
    expect(await find({ needles: ['acommodation'] })).toEqual(['Accommodation| 3']);
    expect(await find({ needles: ['wether', 'lizbon'] })).toEqual(['The weather in Lisbon| 3']);
    expect(await find({ needles: ['zebra'] })).toEqual([]);
    expect(await find({ needles: ['leather'] })).toEqual(['My father|the leather']);
  });
});

describe('a reply that is being written', () => {
  it('is searched as it stands, and its text so far is an update of one place', async () => {
    const { userId, find } = await historyOf([['the question', '']]);
    const [row] = await owner`update chat_history set status = 'PENDING'
      where user_id = ${userId} and message <> '' returning id, search_text`;
    expect(row?.['search_text']).toBeNull();
    await owner`update chat_history set status = 'STREAMING', response = 'quixotic' where id = ${row?.['id']}`;
    expect(await find({ needles: ['quixotic', 'question'] })).toEqual(['the question|quixotic']);
    const hot = async () => {
      await owner`select pg_stat_force_next_flush()`;
      const [stat] =
        await owner`select n_tup_hot_upd as n from pg_stat_user_tables where relname = 'chat_history'`;
      return Number(stat?.['n']);
    };
    const before = await hot();
    await owner`update chat_history set response = 'quixotic indeed' where id = ${row?.['id']}`;
    expect(await hot()).toBe(before + 1);
    await owner`update chat_history set status = 'COMPLETE' where id = ${row?.['id']}`;
    expect(await find({ needles: ['indeed'] })).toEqual(['the question|quixotic indeed']);
    const [done] = await owner`select search_text from chat_history where id = ${row?.['id']}`;
    expect(done?.['search_text']).toBe('the question\x1fquixotic indeed');
  });
});

describe('the builder', () => {
  it('can be stopped at any moment of its start', async () => {
    const complaints: unknown[] = [];
    const complain = (reason: unknown) => complaints.push(reason);
    process.on('unhandledRejection', complain);
    onTestFinished(() => void process.off('unhandledRejection', complain));
    for (let wait = 0; wait < 40; wait++) {
      const builder = createSearchBuilder(database.ownerUrl, createLog('silent'));
      await sleep(wait / 2);
      await builder.stop();
    }
    expect(complaints).toEqual([]);
  });
});

describe('a database from before', () => {
  it('is searched rightly while it is filled and indexed, and numbers no change', async () => {
    const { userId, find } = await historyOf([
      ['a quixotic café', ''],
      ['東京', ''],
    ]);
    await owner.begin(async (tx) => {
      await tx`set local session_replication_role = replica`;
      await tx`update chat_history set search_text = null where user_id = ${userId}`;
      await tx`drop index idx_chat_history_search`;
    });
    // As a build leaves it that was cut off.
    await owner`create index idx_chat_history_search on chat_history (seq)`;
    await owner`update pg_index set indisvalid = false where indexrelid = 'idx_chat_history_search'::regclass`;
    const [before] = await owner`select seq from chat_counters where user_id = ${userId}`;
    expect(await find({ needles: ['QUIXOTIC', 'cafe'] })).toHaveLength(1);
    expect(await find({ needles: ['京'] })).toHaveLength(1);

    const builder = createSearchBuilder(database.ownerUrl, createLog('silent'));
    const isReady = async () => {
      const [index] = await owner`select indisvalid as valid from pg_index i
        join pg_class c on c.oid = i.indexrelid where relname = 'idx_chat_history_search'`;
      const [text] = await owner`select chatkeep.is_filled() as filled`;
      return index?.['valid'] && text?.['filled'];
    };
    await expect.poll(isReady).toBe(true);
    await builder.stop();
    expect(await find({ needles: ['QUIXOTIC', 'cafe'] })).toHaveLength(1);
    expect(await find({ needles: ['京'] })).toHaveLength(1);
    const [after] = await owner`select seq from chat_counters where user_id = ${userId}`;
    expect(after).toEqual(before);
    await buildSmallSearch(owner);
  });
});
