import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Any } from '../../kit/client.ts';
import type { Behaviour } from '../../kit/gemini-server.ts';
import {
  type Context,
  type Filter,
  type History,
  isSame,
  marked,
  type Message,
  type PageRequest,
  page,
  search,
  type Term,
  trend,
} from './history.ts';
import {
  ask,
  count,
  expectEqual,
  expectMessage,
  expectPage,
  expectThat,
  FIELDS,
  learnTime,
  openDevice,
  type Person,
  readPage,
  type Seeded,
  type World,
} from './world.ts';

/*
 * What two users do, and what happens to the parts meanwhile. Each command asks, says to the model what
 * has become of it, and compares; those that read compare what they read. Numbers choose from what there
 * is at that moment, so that a command means something in every sequence that is left when it shrinks.
 */

const SEND = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { ${FIELDS} } } }`;
const RETRY = `mutation ($id: ID!) { retryReply(id: $id) { ${FIELDS} } }`;
const STOP = `mutation ($id: ID!) { stopReply(id: $id) { ${FIELDS} } }`;
const DELETE = 'mutation ($id: ID!) { deleteMessage(id: $id) }';
const PERSONALITY =
  'mutation ($personality: JSON) { setPersonality(personality: $personality) { id personality } }';
const SEARCH = `query ($query: String!, $first: Int, $after: String, $filter: ChatFilter) {
  searchChats(query: $query, first: $first, after: $after, filter: $filter) {
    edges { cursor node { ${FIELDS} } highlights { field start end } }
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

type Command = fc.AsyncCommand<World, World>;

/** The world is the model and the real thing: what is plain in it is in its histories. */
function command<A>(
  name: string,
  args: fc.Arbitrary<A>,
  act: (world: World, args: A) => Promise<void>,
  makesSense: (world: World, args: A) => boolean = () => true,
): fc.Arbitrary<Command> {
  return args.map((given) => ({
    check: (world) => makesSense(world, given),
    async run(world) {
      count(world, name);
      await act(world, given);
    },
    toString: () => `${name}(${JSON.stringify(given)})`,
  }));
}

const someone = { user: fc.nat(1), via: fc.nat(2) };
type Someone = { readonly user: number; readonly via: number };
const which = fc.nat(11);

const personOf = ({ people }: World, { user }: Pick<Someone, 'user'>) => people[user] as Person;
const otherOf = ({ people }: World, { user }: Pick<Someone, 'user'>) => people[1 - user] as Person;
const choose = <T>(from: readonly T[], n: number): T | undefined => from[n % from.length];

/** By VADER's own figures: these sentences with words behind them that its lexicon does not have. */
const OPENINGS = [
  { text: 'I love this', mood: 'POSITIVE', moodScore: 0.6369 },
  { text: 'Look at this', mood: 'NEUTRAL', moodScore: 0 },
  { text: 'I hate this', mood: 'NEGATIVE', moodScore: -0.5719 },
] as const;
const opening = fc.constantFrom(...OPENINGS);

const WORDS = ['red', 'green', 'Blue', 'GARDEN', '100%', 'a_b', 'c\\d', 'Äpfel', 'ПРИВЕТ'];
const words = fc.array(fc.constantFrom(...WORDS), { maxLength: 4 });
/** Of what a held reply has said already: no term is in it. */
const HELD = 'zzz ';

const TERMS = [
  'red',
  'GREEN',
  'blue',
  'gard',
  '%',
  '_',
  '\\',
  'äPFEL',
  'привет',
  'e',
  'I love',
  '#',
];
const term = fc.oneof(
  fc
    .constantFrom(...TERMS.filter((text) => !text.includes(' ')))
    .map((text): Term => ({ text, isQuoted: false })),
  fc
    .oneof(
      fc.constantFrom(...TERMS),
      fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS)),
    )
    .map((text): Term => ({ text: String(text).replace(',', ' '), isQuoted: true })),
);
const queryOf = (terms: readonly Term[]) =>
  terms.map(({ text, isQuoted }) => (isQuoted ? `"${text}"` : text)).join(' ');

const context = fc.constantFrom<Context | undefined>(
  undefined,
  undefined,
  null,
  { tone: 'kind' },
  { tone: 'dry' },
);

/** How the model replies. */
const reply = fc.record({
  words: fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 4 }),
  end: fc.constantFrom('STOP', 'STOP', 'STOP', 'MAX_TOKENS', 'none', 'cut', 'blocked', 'refused'),
});
type Reply = typeof reply extends fc.Arbitrary<infer R> ? R : never;

const INSTANTS = [
  '2026-04-30T23:30:00.500000',
  ...Array.from({ length: 3 }, () => '2026-05-01T12:00:00.123456'),
  '2026-05-01T12:00:00.123457',
];

/** What another program has written before: several of one instant, where only the id tells the order. */
export const seeds = fc
  .uniqueArray(
    fc.record({
      // Another id is no simpler one, and there are many.
      id: fc.noShrink(fc.uuid()),
      at: fc.constantFrom(...INSTANTS),
      opening,
      words,
      response: words,
      tone: fc.constantFrom(null, 'old'),
      status: fc.constantFrom('COMPLETE' as const, 'FAILED' as const),
    }),
    { maxLength: 8, selector: ({ id }) => id },
  )
  .map((rows) =>
    rows.map(({ opening: { text, mood, moodScore }, words, response, id, ...rest }): Seeded => {
      const message = [text, ...words, `#${id.slice(0, 8)}`].join(' ');
      return { ...rest, id, message, response: response.join(' '), mood, moodScore };
    }),
  );

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

const running = ({ messages }: History) => messages.filter(({ status }) => status === 'RUNNING');
const tagOf = ({ message }: Message) => message.slice(message.lastIndexOf('#'));

/** Tells the model what to say, and answers what must come of it. */
function script(world: World, tag: string, { words, end }: Reply, isHeld: boolean) {
  const text = words.join(' ');
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const chunks = [
    ...(isHeld ? [HELD] : []),
    ...words.map((word, i) => (i > 0 ? ` ${word}` : word)),
  ];
  const behaviour: Behaviour =
    end === 'blocked'
      ? { blocked: 'SAFETY' }
      : end === 'refused'
        ? { status: 400 }
        : { chunks, end, ...(isHeld && { afterFirst: gate }) };
  const asked = world.parts.replies.get(tag)?.asked ?? 0;
  world.parts.replies.set(tag, { behaviour, open, asked });
  const isComplete = end === 'STOP' || end === 'MAX_TOKENS';
  const isEmpty = end === 'blocked' || end === 'refused';
  return {
    status: isComplete ? ('COMPLETE' as const) : ('FAILED' as const),
    response: isEmpty ? '' : `${isHeld ? HELD : ''}${text}`,
    failed: end !== 'STOP',
  };
}

type Ending = ReturnType<typeof script>;

/** What will have become of replies that are held, once they are let go. */
const endings = new WeakMap<Message, { ending: Ending; via: number }>();

function changed(history: History, message: Message, what: Partial<Message>): void {
  Object.assign(message, { failure: undefined, updatedAt: undefined }, what);
  history.moment = undefined;
}

const inputOf = ({ id, message, byDefault, personalityContext }: Message, awaitReply: boolean) => ({
  input: { id, message, awaitReply, ...(!byDefault && { personalityContext }) },
});

/** Waits for the end of a reply, by sending the same again, and compares it. */
async function settle(world: World, person: Person, message: Message, via: number): Promise<void> {
  const answer = await ask(world, person, via, SEND, inputOf(message, true));
  expectEqual('waiting for a reply', answer.failed, undefined);
  expectMessage(message, answer.data.sendMessage.message);
}

/** Lets go of a reply that was held. */
async function release(world: World, person: Person, message: Message, via: number) {
  const { ending } = endings.get(message) as { ending: Ending };
  world.parts.replies.get(tagOf(message))?.open();
  changed(person.history, message, ending);
  await settle(world, person, message, via);
}

const sendArgs = fc.record({
  ...someone,
  id: fc.constantFrom('none', 'new', 'new', 'theirs'),
  opening,
  words,
  context,
  reply,
  how: fc.constantFrom('awaited', 'awaited', 'not awaited', 'held', 'twice at once'),
});
type SendArgs = typeof sendArgs extends fc.Arbitrary<infer A> ? A : never;

async function sendMessage(world: World, args: SendArgs): Promise<void> {
  const { user, via, id: kind, opening, words, context, reply, how } = args;
  const person = personOf(world, { user });
  const { history } = person;
  const tag = world.newTag();
  const message = [opening.text, ...words, tag].join(' ');
  const known = [...history.messages, ...history.deleted].map(({ id }) => id);
  const theirs = otherOf(world, { user }).history.messages.find(({ id }) => !known.includes(id));
  const chosen = kind === 'none' ? undefined : (kind === 'theirs' && theirs?.id) || randomUUID();
  const isHeld = how === 'held' && reply.end !== 'blocked' && reply.end !== 'refused';
  const awaitReply = how === 'awaited' || how === 'twice at once';
  const ending = script(world, tag, reply, isHeld);
  const input = {
    message,
    awaitReply,
    ...(chosen && { id: chosen }),
    ...(context !== undefined && { personalityContext: context }),
  };
  const both = how === 'twice at once' && chosen ? [via, via + 1] : [via];
  const answers = await Promise.all(both.map((at) => ask(world, person, at, SEND, { input })));
  for (const { failed } of answers) expectEqual('sending', failed, undefined);
  const shown = answers.map(({ data }) => data.sendMessage.message);
  const [first] = shown;
  if (chosen) expectEqual('the id', first.id, chosen);
  expectThat('an id that was there', !known.includes(first.id), first.id);
  const sent: Message = {
    id: first.id,
    message,
    mood: opening.mood,
    moodScore: opening.moodScore,
    personalityContext: context === undefined ? history.personality : context,
    byDefault: context === undefined,
    at: learnTime(history, first.createdAt),
    status: 'RUNNING',
    response: isHeld ? HELD : ending.response,
    failed: false,
  };
  history.messages.push(sent);
  history.moment = undefined;
  endings.set(sent, { ending, via: via % world.parts.servers.length });
  if (isHeld) return expectMessage(sent, first);
  if (!awaitReply) {
    // Refused and asked again, it may have ended meanwhile.
    if (answers[0]?.refusals === 0) expectMessage(sent, first);
    changed(history, sent, ending);
    return settle(world, person, sent, via + 1);
  }
  changed(history, sent, ending);
  for (const one of shown) expectMessage(sent, one);
  const times = world.parts.replies.get(tag)?.asked;
  expectEqual('how often the model was asked', times, 1);
}

const send = command('send', sendArgs, sendMessage);

const sendAgain = command(
  'sendAgain',
  fc.record({
    ...someone,
    which,
    changed: fc.constantFrom('nothing', 'nothing', 'message', 'context', 'no context'),
  }),
  async (world, { user, via, which, changed }) => {
    const person = personOf(world, { user });
    const { messages, deleted } = person.history;
    const stored = choose([...messages, ...deleted], which) as Message;
    const { input } = inputOf(stored, stored.status !== 'RUNNING');
    const { personalityContext: context, ...rest } = input;
    const message = changed === 'message' ? `${stored.message}!` : stored.message;
    const again = changed === 'context' ? { tone: 'another' } : context;
    const personalityContext = changed === 'no context' ? undefined : again;
    const answer = await ask(world, person, via, SEND, {
      input: { ...rest, message, ...(personalityContext !== undefined && { personalityContext }) },
    });
    const isFine =
      messages.includes(stored) && isSame(stored, message, personalityContext as Context);
    expectEqual(`sending ${stored.id} again`, answer.failed, isFine ? undefined : 'CONFLICT');
    if (isFine) expectMessage(stored, answer.data.sendMessage.message);
  },
  (world, { user }) => {
    const { messages, deleted } = personOf(world, { user }).history;
    return messages.length + deleted.length > 0;
  },
);

const retryReply = command(
  'retryReply',
  fc.record({ ...someone, which, reply }),
  async (world, { user, via, which, reply }) => {
    const person = personOf(world, { user });
    const { history } = person;
    // Rather one that can be.
    const over = history.messages.filter(({ status }) => /FAILED|STOPPED/.test(status));
    const message = choose(which % 3 > 0 && over.length > 0 ? over : history.messages, which);
    if (!message) {
      const { failed } = await ask(world, person, via, RETRY, { id: randomUUID() });
      return expectEqual('retrying what there is not', failed, 'NOT_FOUND');
    }
    const isOver = over.includes(message);
    const ending = isOver ? script(world, tagOf(message), reply, false) : undefined;
    const answer = await ask(world, person, via, RETRY, { id: message.id });
    if (ending) changed(history, message, { ...ending, isOpenEnded: false });
    // Refused, it may have been done all the same.
    if (ending && answer.refusals > 0 && answer.failed === 'CONFLICT') {
      return settle(world, person, message, via);
    }
    expectEqual('retrying', answer.failed, ending ? undefined : 'CONFLICT');
    if (ending) expectMessage(message, answer.data.retryReply);
  },
);

const stopReply = command(
  'stopReply',
  fc.record({ ...someone, which }),
  async (world, { user, via, which }) => {
    const person = personOf(world, { user });
    const { history } = person;
    const held = running(history);
    const message = choose(which % 4 > 0 && held.length > 0 ? held : history.messages, which);
    const id = message?.id ?? randomUUID();
    const wasRunning = message?.status === 'RUNNING';
    const answer = await ask(world, person, via, STOP, { id });
    if (!message) return expectEqual('stopping what there is not', answer.failed, 'NOT_FOUND');
    const isFine = wasRunning || message.status === 'STOPPED';
    expectEqual('stopping', answer.failed, isFine ? undefined : 'CONFLICT');
    if (wasRunning) {
      world.parts.replies.get(tagOf(message))?.open();
      changed(history, message, { status: 'STOPPED', failed: false, isOpenEnded: true });
    }
    if (isFine) expectMessage(message, answer.data.stopReply);
  },
);

const letGo = command(
  'letGo',
  fc.record({ ...someone, which }),
  async (world, { user, via, which }) => {
    const person = personOf(world, { user });
    await release(world, person, choose(running(person.history), which) as Message, via);
  },
  (world, { user }) => running(personOf(world, { user }).history).length > 0,
);

const deleteArgs = fc.record({
  ...someone,
  which,
  whose: fc.constantFrom('own', 'own', 'own', 'theirs', 'gone', 'nobody'),
});
type DeleteArgs = typeof deleteArgs extends fc.Arbitrary<infer A> ? A : never;

async function deleteOne(world: World, { user, via, which, whose }: DeleteArgs): Promise<void> {
  const person = personOf(world, { user });
  const { history } = person;
  const own = whose === 'own' ? choose(history.messages, which) : undefined;
  const id = own?.id ?? idOf(world, { user, which, whose });
  const answer = await ask(world, person, via, DELETE, { id });
  if (own && answer.refusals > 0 && answer.failed === 'NOT_FOUND') count(world, 'was deleted');
  else expectEqual('deleting', answer.failed, own ? undefined : 'NOT_FOUND');
  if (!own) return;
  world.parts.replies.get(tagOf(own))?.open();
  history.messages = history.messages.filter((message) => message !== own);
  history.deleted.push(own);
  history.moment = undefined;
}

const deleteMessage = command('deleteMessage', deleteArgs, deleteOne);

/** An id that is not one of the user's messages. */
function idOf(
  world: World,
  { user, which, whose }: { user: number; which: number; whose: string },
) {
  const { history } = personOf(world, { user });
  const other = otherOf(world, { user }).history.messages;
  const theirs = other.filter(({ id }) => history.messages.every((own) => own.id !== id));
  const from = whose === 'theirs' ? theirs : whose === 'gone' ? history.deleted : [];
  return choose(from, which)?.id ?? randomUUID();
}

const setPersonality = command(
  'setPersonality',
  fc.record({
    ...someone,
    personality: fc.constantFrom<Context>(null, { tone: 'kind' }, { tone: 'warm' }, {}),
  }),
  async (world, { user, via, personality }) => {
    const person = personOf(world, { user });
    const answer = await ask(world, person, via, PERSONALITY, { personality });
    person.history.personality = personality;
    const shown = { id: person.client.userId, personality };
    expectEqual('the personality', answer.data?.setPersonality, shown);
  },
);

const viewer = command('viewer', fc.record(someone), async (world, { user, via }) => {
  const person = personOf(world, { user });
  const answer = await ask(world, person, via, '{ viewer { id personality } }', {});
  const { personality } = person.history;
  expectEqual('viewer', answer.data?.viewer, { id: person.client.userId, personality });
});

const readHistory = command(
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

const readOn = command(
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
const readMeanwhile = command(
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

const searchHistory = command(
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
      expectPage(expected, { edges, pageInfo });
      history.moment ??= eventsCursor;
      expectEqual('eventsCursor', eventsCursor, history.moment);
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

const lookUp = command(
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

const strangerPlace = command(
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

const moodTrend = command(
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

const attach = command('attach', fc.record(someone), async (world, { user, via }) => {
  const person = personOf(world, { user });
  if (!person.device) person.device = await openDevice(world, person, via);
  else if (person.device.isAttached) await person.device.show();
  else await person.device.attach(via);
});

const detach = command(
  'detach',
  fc.record({ user: fc.nat(1) }),
  async (world, { user }) => personOf(world, { user }).device?.cut(),
  (world, { user }) => !!personOf(world, { user }).device?.isAttached,
);

const endLease = command('endLease', fc.record({ user: fc.nat(1) }), async (world, { user }) =>
  world.parts.endLease(personOf(world, { user }).client.userId),
);

/** What users do and read, on a day on which nothing happens. */
export const calm: fc.Arbitrary<Command>[] = [
  ...[send, send, send, send, send, sendAgain, sendAgain, retryReply, stopReply, letGo],
  ...[deleteMessage, deleteMessage, setPersonality, viewer, lookUp, strangerPlace, moodTrend],
  ...[
    readHistory,
    readHistory,
    readHistory,
    readHistory,
    readOn,
    readOn,
    searchHistory,
    searchHistory,
  ],
  ...[readMeanwhile, attach, attach, detach, endLease],
];

const fault = (name: string, happen: (world: World) => unknown) =>
  command(
    name,
    fc.constant({}),
    async (world) => {
      await happen(world);
    },
    ({ parts }) => parts.faults !== undefined,
  );

const POSTGRES_BACK_MS = 2_000;

/** PostgreSQL may refuse while this goes on, and until its first success after that, within 2 s. */
async function hurting({ parts }: World, act: () => unknown): Promise<void> {
  parts.hurtUntil = Number.POSITIVE_INFINITY;
  await act();
  parts.hurtUntil = performance.now() + POSTGRES_BACK_MS;
}

/** Everybody asks once: a process that alone does not notice may go by its lease, for five seconds. */
async function everybodyNotices(world: World): Promise<void> {
  const { parts, people } = world;
  await Promise.all(parts.servers.map((_, via) => readPage(world, people[0], via, { first: 1 })));
}

const detachFrom = (world: World, via: number) => {
  for (const { device } of world.people) if (device?.via === via) device.cut();
};

const restart = command('restart', fc.record({ server: fc.nat(1) }), async (world, { server }) => {
  const { parts, people } = world;
  const stopped = parts.faults?.restart(server);
  // It lets replies end that it is writing, for ten seconds.
  for (const person of people) {
    for (const message of running(person.history))
      await release(world, person, message, server + 1);
  }
  await stopped;
  detachFrom(world, server);
});

async function killLast(world: World): Promise<void> {
  const { parts, people } = world;
  const last = parts.servers.length - 1;
  await parts.faults?.kill();
  detachFrom(world, last);
  for (const person of people) {
    for (const message of running(person.history)) {
      if (endings.get(message)?.via !== last) continue;
      await endReplyLease(world, person, message);
      parts.replies.get(tagOf(message))?.open();
      changed(person.history, message, { status: 'FAILED', failed: true, isOpenEnded: true });
      await settle(world, person, message, last + 1);
    }
  }
}

/** As if the half minute was over for which a server that writes a reply has its lease. */
async function endReplyLease({ parts }: World, { client }: Person, { id }: Message): Promise<void> {
  await parts.owner`update chat_reply_leases set expires_at = now()
    where user_id = ${client.userId} and message_id = ${id}`;
}

const kill = fault('kill', killLast);

/** The server dies with the message in its hands: it is sent again elsewhere, and there once. */
const sendIntoKill = command(
  'sendIntoKill',
  fc.record({ user: fc.nat(1), opening, words, reply, ms: fc.nat(40) }),
  async (world, { user, opening, words, reply, ms }) => {
    const person = personOf(world, { user });
    const { history } = person;
    const last = world.parts.servers.length - 1;
    const tag = world.newTag();
    const message = [opening.text, ...words, tag].join(' ');
    const input = { id: randomUUID(), message };
    const ending = script(world, tag, reply, false);
    const sending = ask(world, person, last, SEND, { input }).catch(() => undefined);
    await sleep(ms);
    await killLast(world);
    const first = (await sending)?.data.sendMessage.message;
    const unawaited = { ...input, awaitReply: false };
    const again = await ask(world, person, 0, SEND, { input: unawaited });
    expectEqual('sending once more', again.failed, undefined);
    const sent: Message = {
      ...input,
      mood: opening.mood,
      moodScore: opening.moodScore,
      personalityContext: history.personality,
      byDefault: true,
      at: learnTime(history, again.data.sendMessage.message.createdAt),
      status: 'RUNNING',
      response: ending.response,
      failed: false,
    };
    history.messages.push(sent);
    await endReplyLease(world, person, sent);
    const ended = await ask(world, person, 1, SEND, { input });
    const shown = ended.data.sendMessage.message;
    // Without an answer, the reply may have been given up, whoever wrote it.
    const isWhole = first || (shown.status === ending.status && shown.response === ending.response);
    const givenUp = { status: 'FAILED', failed: true, isOpenEnded: true } as const;
    changed(history, sent, isWhole ? ending : givenUp);
    for (const one of first ? [first, shown] : [shown]) expectMessage(sent, one);
  },
  ({ parts }) => parts.faults !== undefined,
);

const healRedis = fault('healRedis', ({ parts }) => parts.faults?.healRedis());

/** The same, while the parts are hurt. */
export const hurt: fc.Arbitrary<Command>[] = [
  ...calm,
  ...calm,
  fault('killRedis', ({ parts }) => parts.faults?.killRedis()),
  fault('freezeRedis', async (world) => {
    await world.parts.faults?.freezeRedis();
    await everybodyNotices(world);
  }),
  ...[healRedis, healRedis],
  fault('flushRedis', ({ parts }) => parts.faults?.flushRedis()),
  fault('killSubscribers', ({ parts }) => parts.faults?.killSubscribers()),
  fault('cutRedis', ({ parts }) => parts.faults?.cutRedis()),
  fault('cutPostgres', (world) => hurting(world, () => world.parts.faults?.cutPostgres())),
  fault('terminateBackends', (world) =>
    hurting(world, () => world.parts.faults?.terminateBackends()),
  ),
  ...[restart, kill, sendIntoKill],
];

/** PostgreSQL's own end takes longer. */
export const crashPostgres = fault('crashPostgres', (world) =>
  hurting(world, () => world.parts.faults?.crashPostgres()),
);

/** At the end of a run: every page through every server, the device, and the tables themselves. */
export async function expectAll(world: World): Promise<void> {
  await Promise.all(world.people.map((person) => expectPerson(world, person)));
}

async function expectPerson(world: World, person: Person): Promise<void> {
  const { servers, owner } = world.parts;
  const { history, client, device } = person;
  for (const message of running(history)) await release(world, person, message, 0);
  if (device?.isAttached) await device.show();
  await Promise.all(servers.map((_, via) => readPage(world, person, via, { first: 100 })));
  const [rows, tombstones, leases] = await Promise.all([
    owner`select id, message, response, status from chat_history
      where user_id = ${client.userId} order by id`,
    owner`select id from chat_deletions where user_id = ${client.userId} order by id`,
    owner`select message_id from chat_reply_leases where user_id = ${client.userId}`,
  ]);
  const stored = history.messages.map(({ id, message, response, status }) => ({
    id,
    message,
    response,
    status,
  }));
  const byId = (one: { id: string }, other: { id: string }) => (one.id < other.id ? -1 : 1);
  expectEqual('the rows', rows, stored.sort(byId));
  const gone = history.deleted.map(({ id }) => ({ id }));
  expectEqual('the tombstones', tombstones, gone.sort(byId));
  expectEqual('leases of replies that have ended', leases, []);
}

/** Lets go of everything, however a run has ended. */
export function close({ parts, people }: World): void {
  for (const { device, history } of people) {
    device?.cut();
    for (const message of [...history.messages, ...history.deleted]) {
      parts.replies.get(tagOf(message))?.open();
      parts.replies.delete(tagOf(message));
    }
  }
}
