import { type Cache, cacheExchange } from '@urql/exchange-graphcache';
import { graphql } from './generated/index.ts';
import type { ChatEventsSubscription } from './generated/graphql.ts';

/*
 * The one place that says how the history is kept in memory: messages by their id, pages as lists of
 * them, and what each event of chatEvents changes.
 */

const ReplySoFar = graphql(/* GraphQL */ `
  fragment Cache_ReplySoFar on ChatMessage {
    id
    response
    status
  }
`);

const embedded = () => null;

export function createCache() {
  /**
   * The replies that are being written, from their first word on. A page that is read meanwhile brings a
   * text from a second ago, on which the next piece would not fit.
   */
  const running = new Map<string, string>();
  return cacheExchange({
    possibleTypes: {
      ChatEvent: ['MessageChanged', 'MessageDeleted', 'ReplyDelta', 'CaughtUp'],
      Node: ['ChatMessage', 'User'],
    },
    keys: {
      ChatConnection: embedded,
      ChatEdge: embedded,
      SearchConnection: embedded,
      SearchEdge: embedded,
      Highlight: embedded,
      Snippet: embedded,
      SearchTerm: embedded,
      PageInfo: embedded,
      MoodPoint: embedded,
      MessageChanged: embedded,
      MessageDeleted: embedded,
      ReplyDelta: embedded,
      CaughtUp: embedded,
      SendMessagePayload: embedded,
      AuthPayload: embedded,
    },
    resolvers: {
      Query: { message: (_, { id }) => ({ __typename: 'ChatMessage', id: id as string }) },
    },
    updates: {
      Mutation: {
        deleteMessage: (_, { id }, cache) => remove(cache, id as string),
      },
      Subscription: {
        chatEvents: (result, _, cache) => {
          const { chatEvents: event } = result as unknown as ChatEventsSubscription;
          if (event.__typename === 'MessageChanged') {
            running.delete(event.message.id);
            insert(cache, event.message.id);
          }
          if (event.__typename === 'MessageDeleted') {
            running.delete(event.id);
            remove(cache, event.id);
          }
          if (event.__typename === 'ReplyDelta') grow(cache, running, event);
        },
      },
    },
  });
}

const keyOf = (cache: Cache, id: string) =>
  cache.keyOfEntity({ __typename: 'ChatMessage', id }) as string;

/** Puts a message into those pages that reach to the newest one, where it stands by its time. */
function insert(cache: Cache, id: string): void {
  const key = keyOf(cache, id);
  const createdAt = cache.resolve(key, 'createdAt') as string;
  for (const { page, nodes, args } of pages(cache)) {
    if (nodes.includes(key) || !reachesTheNewest(cache, page)) continue;
    const { from } = (args?.['filter'] ?? {}) as { from?: string };
    if (from && createdAt < from) continue;
    const older = nodes.findIndex(
      (node) => (cache.resolve(node, 'createdAt') as string) < createdAt,
    );
    cache.link(page, 'nodes', nodes.toSpliced(older < 0 ? nodes.length : older, 0, key));
  }
}

function remove(cache: Cache, id: string): void {
  const key = keyOf(cache, id);
  for (const { page, nodes } of pages(cache)) {
    if (nodes.includes(key))
      cache.link(
        page,
        'nodes',
        nodes.filter((node) => node !== key),
      );
  }
}

type Delta = Extract<ChatEventsSubscription['chatEvents'], { __typename: 'ReplyDelta' }>;

/** docs/live.md: a delta for a message that is not being written belongs to an older history. */
function grow(cache: Cache, running: Map<string, string>, delta: Delta): void {
  const { messageId: id, offset, text } = delta;
  const known = cache.readFragment(ReplySoFar, { id } as never) as ReplySoFar | null;
  if (!known || (known.status !== 'PENDING' && known.status !== 'STREAMING')) return;
  const response = (running.get(id) ?? known.response).slice(0, offset) + text;
  running.set(id, response);
  cache.writeFragment(ReplySoFar, {
    __typename: 'ChatMessage',
    id,
    response,
    status: 'STREAMING',
  } as never);
}

interface ReplySoFar {
  readonly response: string;
  readonly status: string;
}

/** All pages of the history that are kept; those of searches are not changed by what comes. */
function* pages(cache: Cache) {
  for (const { fieldName, fieldKey, arguments: args } of cache.inspectFields('Query')) {
    if (fieldName !== 'chatHistory') continue;
    const page = cache.resolve('Query', fieldKey) as string | null;
    const nodes = page && (cache.resolve(page, 'nodes') as string[] | undefined);
    if (page && nodes) yield { page, nodes, args };
  }
}

function reachesTheNewest(cache: Cache, page: string): boolean {
  const info = cache.resolve(page, 'pageInfo') as string | undefined;
  return info !== undefined && cache.resolve(info, 'hasPreviousPage') === false;
}
