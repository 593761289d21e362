import type { Client } from 'urql';
import { graphql } from '../graphql/generated/index.ts';
import type { HistoryPageQuery, HistoryPageQueryVariables } from '../graphql/generated/graphql.ts';

/** One page of the history, in either direction. */
export const HistoryPage = graphql(/* GraphQL */ `
  query HistoryPage(
    $first: Int
    $after: String
    $last: Int
    $before: String
    $around: ID
    $filter: ChatFilter
  ) {
    chatHistory(
      first: $first
      after: $after
      last: $last
      before: $before
      around: $around
      filter: $filter
    ) {
      eventsCursor
      nodes {
        id
        cursor
        createdAt
        status
        ...Exchange_ChatMessage
      }
      pageInfo {
        hasNextPage
        hasPreviousPage
        startCursor
        endCursor
      }
    }
  }
`);

type Connection = HistoryPageQuery['chatHistory'];
export type HistoryNode = Connection['nodes'][number];

/** What is on show of the history: a run of exchanges without a hole, oldest first. */
export interface HistoryView {
  readonly nodes: readonly HistoryNode[];
  /** Nothing has come yet. */
  readonly loading: boolean;
  readonly hasOlder: boolean;
  /** Whether newer ones exist that are not on show: the view stands somewhere in the past. */
  readonly hasNewer: boolean;
  /** The last read failed, in words for a person. */
  readonly failure: string | undefined;
  /** The moment at which the first page was read, for chatEvents(after). */
  readonly eventsCursor: string | undefined;
  /** Which end of what was read first is to be seen first, or which exchange. */
  readonly opensAt: 'start' | 'end' | { readonly id: string };
  /** Changes with each jump: what is on show then has nothing to do with what was. */
  readonly epoch: number;
}

interface Page {
  connection: Connection | undefined;
  stop: () => void;
}

const PAGE = 50;
/** So many pages are kept; the farthest go first. */
const MOST_PAGES = 12;

/**
 * The part of a history that is in memory, page by page, each of them followed in the cache: a reply
 * that grows, a message that comes or goes shows by itself. It grows at both ends and forgets what is
 * far from where it grows. `changesSeen` counts the changes that chatEvents has told.
 */
export function createHistoryWindow(client: Client, changesSeen: () => number) {
  const listeners = new Set<() => void>();
  /** Oldest first; those that have come. */
  let pages: Page[] = [];
  /** All that are followed, whether they have come or not. */
  const followed = new Set<Page>();
  let failure: string | undefined;
  let epoch = 0;
  /** Newer pages were forgotten. */
  let isCut = false;
  let opensAt: HistoryView['opensAt'] = 'end';
  let growing = false;
  let again: () => Promise<unknown> = () => toNewest();
  /** Counts where one went: what comes for an earlier one comes too late. */
  let journeys = 0;
  let eventsCursor: string | undefined;
  let view: HistoryView = toView();

  function toView(): HistoryView {
    return {
      nodes: pages.flatMap(({ connection }) => connection?.nodes.toReversed() ?? []),
      loading: pages.length === 0 && failure === undefined,
      hasOlder: pages[0]?.connection?.pageInfo.hasNextPage ?? false,
      hasNewer: isCut || (pages.at(-1)?.connection?.pageInfo.hasPreviousPage ?? false),
      failure,
      eventsCursor,
      opensAt,
      epoch,
    };
  }

  function changed(): void {
    view = toView();
    for (const listener of [...listeners]) listener();
  }

  /** Follows one page; resolves once it is there, undefined if it does not come. */
  function follow(variables: HistoryPageQueryVariables, place: 'older' | 'newer') {
    return new Promise<Page | undefined>((resolve) => {
      const page: Page = { connection: undefined, stop: () => {} };
      followed.add(page);
      let readAfter = changesSeen();
      /** A change overtook the page, which may show what was before it: read again until none does. */
      const readAgainIfOvertaken = () => {
        if (changesSeen() === readAfter) return;
        readAfter = changesSeen();
        client
          .query(HistoryPage, variables, { requestPolicy: 'network-only' })
          .toPromise()
          .then(readAgainIfOvertaken);
      };
      const { unsubscribe } = client
        .query(HistoryPage, variables)
        .subscribe(({ data, error, stale }) => {
          if (!followed.has(page)) return;
          if (data) {
            const isNew = page.connection === undefined;
            page.connection = data.chatHistory;
            eventsCursor ??= data.chatHistory.eventsCursor;
            if (isNew) {
              add(page, place);
              readAgainIfOvertaken();
            }
            changed();
            resolve(page);
          } else if (error && !stale && !page.connection) {
            forget(page);
            failure = 'The history cannot be read at the moment.';
            changed();
            resolve(undefined);
          }
        });
      page.stop = unsubscribe;
      if (!followed.has(page)) unsubscribe();
    });
  }

  function add(page: Page, place: 'older' | 'newer'): void {
    failure = undefined;
    if (place === 'older') {
      pages = [page, ...pages];
    } else {
      pages = [...pages, page];
      isCut = false;
    }
    if (pages.length <= MOST_PAGES) return;
    if (place === 'older') {
      forget(pages.at(-1));
      isCut = true;
    } else {
      forget(pages[0]);
    }
  }

  function forget(page: Page | undefined): void {
    if (!page) return;
    page.stop();
    followed.delete(page);
    pages = pages.filter((other) => other !== page);
  }

  function clear(at: HistoryView['opensAt'] = 'end'): void {
    for (const page of [...followed]) forget(page);
    failure = undefined;
    isCut = false;
    opensAt = at;
    epoch += 1;
  }

  /** One read at a time: the ends of the view are where the next one begins. */
  async function grow(read: () => Promise<unknown>): Promise<void> {
    if (growing) return;
    growing = true;
    await read().finally(() => {
      growing = false;
    });
  }

  async function toNewest(): Promise<void> {
    again = toNewest;
    journeys += 1;
    clear();
    await follow({ first: PAGE }, 'newer');
  }

  async function toInstant(from: string): Promise<void> {
    again = () => toInstant(from);
    journeys += 1;
    clear('start');
    const mine = epoch;
    const page = await follow({ last: PAGE, filter: { from } }, 'newer');
    if (!page || mine !== epoch) return;
    const after = page.connection?.nodes.at(-1)?.cursor;
    if (after) await follow({ first: PAGE, after }, 'older');
    else await toNewest();
  }

  async function toMessage(id: string): Promise<boolean> {
    again = () => toMessage(id);
    journeys += 1;
    const mine = journeys;
    const variables = { first: PAGE, around: id };
    // What is on show stays until there is something else.
    const { error } = await client.query(HistoryPage, variables).toPromise();
    if (mine !== journeys) return true;
    if (error?.graphQLErrors[0]?.extensions['code'] === 'NOT_FOUND') return false;
    clear({ id });
    const page = await follow(variables, 'newer');
    // A page that was read before may have lost it.
    return !page || view.nodes.some((node) => node.id === id);
  }

  return {
    get view(): HistoryView {
      return view;
    },
    subscribe(listener: () => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** From the newest exchange on. */
    toNewest,
    /** From the first exchange at that instant (ISO 8601) or later on, with those around it. */
    toInstant,
    /** To an exchange among those around it; false if there is no such one. */
    toMessage,
    older: () =>
      grow(async () => {
        const after = view.hasOlder && view.nodes[0]?.cursor;
        if (after) await follow({ first: PAGE, after }, 'older');
      }),
    newer: () =>
      grow(async () => {
        const before = view.hasNewer && view.nodes.at(-1)?.cursor;
        if (before) await follow({ last: PAGE, before }, 'newer');
      }),
    /** Reads again what could not be read. */
    retry: () => again(),
    close: () => clear(),
  };
}

export type HistoryWindow = ReturnType<typeof createHistoryWindow>;
