import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Client, send, signIn } from './kit/client.ts';
import { createRandom, type Random, SEED } from './kit/random.ts';
import { startServer, type TestServer } from './kit/server.ts';

let server: TestServer;
let me: Client;

beforeAll(async () => {
  server = await startServer();
  me = await signIn(server);
  await send(me, 'a "quoted" word\n', { personalityContext: { likes: ['tea', null, 1e-7] } });
  await send(me, 'another word, and ☀️', { personalityContext: null });
  await send(me, 'a third one, which is terrible');
});
afterAll(() => server.stop());

/** The types of a page, and what there is to select of each. */
const FIELDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ChatConnection: {
    nodes: 'ChatMessage',
    edges: 'ChatEdge',
    pageInfo: 'PageInfo',
    eventsCursor: '',
  },
  ChatEdge: { cursor: '', node: 'ChatMessage' },
  SearchConnection: { nodes: 'ChatMessage', edges: 'SearchEdge', pageInfo: 'PageInfo' },
  SearchEdge: { cursor: '', node: 'ChatMessage', highlights: 'Highlight', approximate: '' },
  Highlight: { field: '', start: '', end: '' },
  PageInfo: { hasNextPage: '', hasPreviousPage: '', startCursor: '', endCursor: '' },
  ChatMessage: {
    id: '',
    cursor: '',
    message: '',
    response: '',
    status: '',
    failure: '',
    personalityContext: '',
    hasPersonalityContext: '',
    mood: '',
    moodScore: '',
    createdAt: '',
    updatedAt: '',
  },
};

const PAGES = [
  ['chatHistory(first: 2)', 'ChatConnection'],
  ['chatHistory(last: 2, filter: { mood: [NEGATIVE, NEUTRAL] })', 'ChatConnection'],
  ['page: searchChats(query: "word")', 'SearchConnection'],
  ['searchChats(query: "nowhere")', 'SearchConnection'],
] as const;

/** Some of a type's fields, in any order, twice or under another name, in fragments. */
function selection(type: string, { below, pick, oneIn }: Random): string {
  const fields = Object.entries(FIELDS[type] ?? {});
  const one = (): string => {
    const [name, inner] = pick(fields);
    if (oneIn(8)) return '__typename';
    if (oneIn(8)) return `... on ${type} { ${one()} }`;
    if (oneIn(8) && type === 'ChatMessage') return '... on Node { id } ...M';
    // An alias of a field's own, so that no two fields are at odds.
    const alias = inner === '' && oneIn(6) ? `${name}Again: ` : '';
    return `${alias}${name}${inner && ` { ${selection(inner, { below, pick, oneIn })} }`}`;
  };
  return Array.from({ length: 1 + below(4) }, one).join(' ');
}

it('answers as the engine does, whatever is selected', async () => {
  const random = createRandom(SEED);
  for (let n = 0; n < 60; n += 1) {
    const [root, type] = random.pick(PAGES);
    const fields = `__typename ${selection(type, random)} nodes { ...M }`;
    const fragment = 'fragment M on ChatMessage { id mood createdAt __typename }';
    const ask = async (more: string) => {
      const { data, errors } = await me.ask(`{ ${root} { ${fields}${more} } } ${fragment}`);
      return JSON.stringify({ data, errors });
    };
    const read = await ask('');
    // What a directive means only the engine knows.
    const executed = await ask(' __typename @include(if: true)');
    expect(read, `SEED=${SEED}: ${root} ${fields}`).toBe(executed);
    expect(read).not.toContain('errors');
  }
});
