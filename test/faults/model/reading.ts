import fc from 'fast-check';
import type { Any } from '../../kit/client.ts';
import { command, someone, which, personOf, otherOf, choose } from './command.ts';
import {
  trend,
  search,
  marked,
  page,
  type Term,
  type Message,
  type History,
  type PageRequest,
  type Filter,
} from './history.ts';
import { term, queryOf } from './texts.ts';
import { FIELDS, expectPage, expectMessage, expectEqual, ask, readPage } from './world.ts';
import { sendArgs, sendMessage, deleteOne, idOf } from './writing.ts';

/* What two users read, compared with the model. */

const SEARCH = `query ($query: String!, $first: Int, $after: String, $filter: ChatFilter) {
  searchChats(query: $query, first: $first, after: $after, filter: $filter) {
    edges { cursor approximate node { ${FIELDS} } highlights { field start end } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    eventsCursor
  }
}`;
/** Its document is short: what matters is that many read the same. */
const PAGE = `query ($first: Int) { chatHistory(first: $first) { nodes { message } } }`;
const ONE = `query ($id: ID!) { message(id: $id) { ${FIELDS} } }`;
const TREND = `query ($from: Date!, $to: Date!, $bucket: TrendBucket, $timeZone: String) {
  moodTrend(from: $from, to: $to, bucket: $bucket, timeZone: $timeZone) {
    start messageCount moodScore positive neutral negative
  }
}`;

const filter = fc.option(
  fc.record(
    {
      mood: fc.subarray(['POSITIVE', 'NEUTRAL', 'NEGATIVE'] as const),
      hasPersonalityContext: fc.boolean(),
      from: which,
      to: which,
    },
    { requiredKeys: [] },
  ),
  { nil: undefined, freq: 2 },
);
type FilterArgs = typeof filter extends fc.Arbitrary<infer F> ? F : never;

/** Instants at which something is, so that bounds matter. */
function filterOf({ messages }: History, args: FilterArgs): Filter | undefined {
  if (!args) return undefined;
  const instants = [
    '2026-05-01T00:00:00.000Z',
    '2026-05-01T12:00:00.123Z',
    '2026-05-01T12:00:00.124Z',
    ...messages.map(({ at }) => `${at.slice(0, 23)}Z`),
  ];
  const { from, to, ...rest } = args;
  const bounds = [from, to].map((n) => (n === undefined ? undefined : choose(instants, n)));
  // Else it would be refused.
  if (bounds[0] && bounds[1]) bounds.sort();
  return { ...rest, from: bounds[0], to: bounds[1] };
}

/** Messages whose cursor was seen, deleted ones too: a place stays one. */
const placesOf = ({ messages, deleted }: History) =>
  [...messages, ...deleted].filter(({ cursor }) => cursor !== undefined);

export const readHistory = command(
  'readHistory',
  fc.record({
    ...someone,
    way: fc.constantFrom('first', 'first', 'after', 'after', 'offset', 'last', 'before'),
    size: fc.integer({ min: 1, max: 4 }),
    place: which,
    filter,
    again: fc.nat(2),
  }),
  async (world, { user, via, way, size, place, filter: args, again }) => {
    const person = personOf(world, { user });
    const { history } = person;
    const at = choose(placesOf(history), place);
    const filter = filterOf(history, args);
    const offset = way === 'offset' || (way === 'after' && place % 4 === 0) ? place % 5 : undefined;
    const request: PageRequest =
      way === 'last' || way === 'before'
        ? { last: size, before: way === 'before' ? at : undefined, filter }
        : { first: size, after: way === 'after' ? at : undefined, offset, filter };
    // The same again, also through another server: now it may come from the cache.
    for (let n = 0; n <= again; n += 1) await readPage(world, person, via + n, request);
  },
);

export const readOn = command(
  'readOn',
  fc.record({
    ...someone,
    size: fc.integer({ min: 1, max: 4 }),
    filter,
    isBackwards: fc.boolean(),
  }),
  async (world, { user, via, size, filter: args, isBackwards }) => {
    const person = personOf(world, { user });
    const filter = filterOf(person.history, args);
    // From one end to the other, by the cursors that come: all of it, and once.
    const seen: string[] = [];
    for (let place: Message | undefined, n = 0; ; n += 1) {
      const request = isBackwards
        ? { last: size, before: place, filter }
        : { first: size, after: place, filter };
      const { edges, pageInfo } = await readPage(world, person, via + n, request);
      const ids = edges.map(({ node }: Any) => node.id);
      if (isBackwards) seen.unshift(...ids);
      else seen.push(...ids);
      const end = isBackwards ? ids[0] : ids.at(-1);
      place = person.history.messages.find(({ id }) => id === end);
      if (!(isBackwards ? pageInfo.hasPreviousPage : pageInfo.hasNextPage)) break;
    }
    const all = page(person.history, { first: Number.POSITIVE_INFINITY, filter }).messages;
    expectEqual(
      'all pages',
      seen,
      all.map(({ id }) => id),
    );
  },
);

/** While a message is sent or deleted, others may be shown the page from before or after it; then, only after. */
export const readMeanwhile = command(
  'readMeanwhile',
  fc.record({
    send: sendArgs,
    size: fc.integer({ min: 1, max: 4 }),
    isDeletion: fc.boolean(),
    which,
  }),
  async (world, { send, size, isDeletion, which }) => {
    const person = personOf(world, send);
    const { servers } = world.parts;
    const request = { first: size };
    const texts = () => page(person.history, request).messages.map(({ message }) => message);
    const before = JSON.stringify(texts());
    const shown: string[][] = servers.map(() => []);
    let isOver = false;
    const read = async (via: number) => {
      do {
        const { data } = await ask(world, person, via, PAGE, request);
        shown[via]?.push(JSON.stringify(data.chatHistory.nodes.map(({ message }: Any) => message)));
      } while (!isOver);
    };
    const readers = servers.flatMap((_, via) => [read(via), read(via)]);
    const change = isDeletion
      ? deleteOne(world, { ...send, which, whose: 'own' })
      : sendMessage(world, send);
    await change.finally(() => {
      isOver = true;
    });
    // From now on everybody is shown it, also whoever waits for what another began to read before.
    const everywhere = () =>
      Promise.all(servers.map((_, via) => readPage(world, person, via, request)));
    await everywhere();
    await Promise.all(readers);
    await everywhere();
    const after = JSON.stringify(texts());
    for (const list of shown) {
      const wrong = list.filter((one) => one !== before && one !== after);
      expectEqual(`pages that are neither ${before} nor ${after}`, wrong, []);
    }
  },
);

export const searchHistory = command(
  'search',
  fc.record({
    ...someone,
    terms: fc.array(term, { minLength: 1, maxLength: 3 }),
    size: fc.integer({ min: 1, max: 4 }),
    after: fc.option(which, { nil: undefined, freq: 2 }),
    filter,
    again: fc.nat(1),
  }),
  async (world, { user, via, terms, size, after: place, filter: args, again }) => {
    const person = personOf(world, { user });
    const { history } = person;
    const after = place === undefined ? undefined : choose(placesOf(history), place);
    const filter = filterOf(history, args);
    const query = queryOf(terms);
    const expected = search(history, terms, { first: size, after, filter });
    for (let n = 0; n <= again; n += 1) {
      const variables = { query, first: size, after: after?.cursor, filter };
      const { data, failed } = await ask(world, person, via + n, SEARCH, variables);
      expectEqual('searching', failed, undefined);
      const { edges, pageInfo, eventsCursor } = data.searchChats;
      history.moment ??= eventsCursor;
      expectEqual('eventsCursor', eventsCursor, history.moment);
      const near = edges.filter(({ approximate }: Any) => approximate);
      if (near.length > 0) {
        // They stand in the place of nothing; which they are is not for the model to say.
        const beside = [edges.length - near.length, expected.messages.length, after];
        expectEqual('what near spellings stand beside', beside, [0, 0, undefined]);
        continue;
      }
      expectPage(expected, { edges, pageInfo });
      for (const { node, highlights } of edges) expectMarks(node, highlights, terms);
    }
  },
);

function expectMarks(node: Any, highlights: readonly Any[], terms: readonly Term[]): void {
  for (const field of ['MESSAGE', 'RESPONSE']) {
    const text: string = field === 'MESSAGE' ? node.message : node.response;
    const marks = text.replaceAll(/./gs, '.').split('');
    for (const mark of highlights) {
      if (mark.field === field) marks.fill('#', mark.start, mark.end);
    }
    expectEqual(`what is marked in ${text}`, marks.join(''), marked(text, terms));
  }
}

export const lookUp = command(
  'lookUp',
  fc.record({
    ...someone,
    which,
    whose: fc.constantFrom('own', 'own', 'theirs', 'gone', 'nobody'),
  }),
  async (world, { user, via, which, whose }) => {
    const person = personOf(world, { user });
    const own = whose === 'own' ? choose(person.history.messages, which) : undefined;
    const id = own?.id ?? idOf(world, { user, which, whose });
    const { data, failed } = await ask(world, person, via, ONE, { id });
    expectEqual('looking up', failed, undefined);
    if (own) expectMessage(own, data.message);
    else expectEqual('what is not there', data.message, null);
  },
);

export const strangerPlace = command(
  'strangerPlace',
  fc.record({ ...someone, which, isSearch: fc.boolean() }),
  async (world, { user, via, which, isSearch }) => {
    const after = choose(placesOf(otherOf(world, { user }).history), which)?.cursor;
    const [query, variables] = isSearch
      ? [SEARCH, { query: 'e', after }]
      : ['query ($after: String) { chatHistory(after: $after) { nodes { id } } }', { after }];
    const { failed } = await ask(world, personOf(world, { user }), via, query, variables);
    expectEqual("another user's cursor", failed, 'BAD_USER_INPUT after');
  },
  (world, { user }) => placesOf(otherOf(world, { user }).history).length > 0,
);

const ZONES = [
  { timeZone: 'UTC', hours: 0 },
  { timeZone: 'Asia/Tokyo', hours: 9 },
  { timeZone: 'America/Phoenix', hours: -7 },
];

export const moodTrend = command(
  'moodTrend',
  fc.record({
    ...someone,
    bucket: fc.constantFrom('DAY' as const, 'WEEK' as const, 'MONTH' as const),
    zone: fc.constantFrom(...ZONES),
    isNow: fc.boolean(),
    before: fc.nat(2),
    after: fc.nat(40),
  }),
  async (world, { user, via, bucket, zone: { timeZone, hours }, isNow, before, after }) => {
    const person = personOf(world, { user });
    const middle = isNow ? Date.now() : Date.parse('2026-05-01');
    const day = (n: number) => new Date(middle + n * 86_400_000).toISOString().slice(0, 10);
    const range = { from: day(-before), to: day(after), bucket };
    const { data, failed } = await ask(world, person, via, TREND, { ...range, timeZone });
    expectEqual('asking for a trend', failed, undefined);
    // Sums of floating point numbers have as many results as there are orders.
    const rounded = (points: readonly Any[]) =>
      points.map((point) => ({ ...point, moodScore: point.moodScore?.toFixed(9) ?? null }));
    const expected = trend(person.history, { ...range, hours });
    expectEqual('the trend', rounded(data.moodTrend), rounded(expected));
  },
);
