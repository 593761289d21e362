import type { Client, CombinedError } from 'urql';
import { graphql } from '../graphql/generated/index.ts';
import type { ChatFilter, SearchPageQuery } from '../graphql/generated/graphql.ts';

const SearchPage = graphql(/* GraphQL */ `
  query SearchPage($query: String!, $filter: ChatFilter, $first: Int, $after: String) {
    searchChats(query: $query, filter: $filter, first: $first, after: $after) {
      understood {
        start
        end
        ...Chips_SearchTerm
      }
      edges {
        approximate
        node {
          id
          createdAt
        }
        ...Hit_SearchEdge
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

type Connection = SearchPageQuery['searchChats'];
export type SearchHit = Connection['edges'][number];
export type UnderstoodTerm = Connection['understood'][number];

export interface SearchRequest {
  readonly query: string;
  readonly filter: ChatFilter;
}

/** What is known of the newest request. */
export interface SearchView {
  /** The request's. */
  readonly query: string | undefined;
  /** Newest first. While isCurrent is false they are the request's before. */
  readonly hits: readonly SearchHit[];
  /** The parts of the same query. */
  readonly understood: readonly UnderstoodTerm[];
  /** Nothing holds the words; these come near. */
  readonly isApproximate: boolean;
  /** Whether the request has been answered, by hits or by a failure. */
  readonly isCurrent: boolean;
  readonly isLoading: boolean;
  readonly hasMore: boolean;
  /** The last read failed, in words for a person. */
  readonly failure: string | undefined;
}

const PAGE = 20;

const NOTHING: SearchView = {
  query: undefined,
  hits: [],
  understood: [],
  isApproximate: false,
  isCurrent: false,
  isLoading: false,
  hasMore: false,
  failure: undefined,
};

/** One search at a time, page by page: a new request ends the reads of the one before. */
export function createSearch(client: Client) {
  const listeners = new Set<() => void>();
  let request: SearchRequest | undefined;
  let pages: readonly Connection[] = [];
  /** By page. */
  let stops: (() => void)[] = [];
  let run = 0;
  let view = NOTHING;

  function show(next: Partial<SearchView>): void {
    view = { ...view, ...next };
    for (const listener of [...listeners]) listener();
  }

  /** Reads the page behind those that are there, and follows it in the cache. */
  function readNext(): void {
    if (!request) return;
    const mine = run;
    const place = pages.length;
    const after = pages.at(-1)?.pageInfo.endCursor;
    // What failed is followed no more: its last result would come again.
    stops[place]?.();
    show({ isLoading: true, failure: undefined });
    const { unsubscribe } = client
      .query(
        SearchPage,
        { ...request, first: PAGE, ...(after && { after }) },
        { requestPolicy: 'cache-and-network' },
      )
      .subscribe(({ data, error }) => {
        if (mine !== run) return;
        if (data) put(place, data.searchChats);
        else if (error && pages.length <= place) fail(error);
      });
    if (mine === run) stops[place] = unsubscribe;
    else unsubscribe();
  }

  function put(place: number, page: Connection): void {
    const before = pages[place];
    // Those behind it were read from where it ended.
    const isSameEnd = before?.pageInfo.endCursor === page.pageInfo.endCursor;
    pages = [...pages.slice(0, place), page, ...(isSameEnd ? pages.slice(place + 1) : [])];
    const hits = pages.flatMap(({ edges }) => edges);
    show({
      hits,
      understood: page.understood,
      isApproximate: hits[0]?.approximate ?? false,
      isCurrent: true,
      hasMore: pages.at(-1)?.pageInfo.hasNextPage ?? false,
      ...(place === pages.length - 1 && { isLoading: false }),
    });
  }

  function fail({ graphQLErrors }: CombinedError): void {
    const refusal = graphQLErrors.find(({ extensions }) => extensions['code'] === 'BAD_USER_INPUT');
    show({
      ...(pages.length === 0 && { hits: [], understood: [], hasMore: false }),
      isCurrent: true,
      isLoading: false,
      failure: refusal?.message ?? 'The search got no answer.',
    });
  }

  return {
    get view(): SearchView {
      return view;
    },
    subscribe(listener: () => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** Begins a request; undefined if there is none. */
    run(next: SearchRequest | undefined): void {
      run += 1;
      for (const stop of stops) stop();
      stops = [];
      pages = [];
      request = next;
      if (next) {
        show({ query: next.query, isCurrent: false, hasMore: false });
        readNext();
      } else {
        show(NOTHING);
      }
    },
    more(): void {
      if (view.isCurrent && view.hasMore && !view.isLoading && !view.failure) readNext();
    },
    /** Reads again what could not be read. */
    retry: readNext,
  };
}
