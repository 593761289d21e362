import { type Exchange, type HistoryRequest, historyPage, type Page } from '../services/history.ts';
import {
  type SearchHit,
  type SearchRequest,
  type SearchTerm,
  searchPage,
} from '../services/search.ts';
import { type Context, signedIn } from './context.ts';
import { decodeCursor, decodeHitCursor, encodeRankedCursor } from './cursor.ts';
import { placeOf } from './messages.ts';

export interface Edge {
  readonly cursor: string;
  readonly node: Exchange;
}

export interface Connection<E extends Edge = Edge> {
  readonly edges: readonly E[];
  readonly nodes: readonly Exchange[];
  /** The user's newest change that the page shows. */
  readonly seq: bigint;
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

export type SearchEdge = Edge & Omit<SearchHit, 'row'>;

export interface SearchConnection extends Connection<SearchEdge> {
  readonly understood: readonly SearchTerm[];
}

type Cursors = 'after' | 'before';
type Arguments<R> = Omit<R, Cursors> & {
  readonly [K in keyof R & Cursors]?: string | null | undefined;
};

export async function chatHistory(
  args: Arguments<HistoryRequest>,
  context: Context,
): Promise<Connection> {
  const viewer = signedIn(context);
  const after = decodeCursor(viewer.sub, 'after', args.after);
  const before = decodeCursor(viewer.sub, 'before', args.before);
  const page = await historyPage(context.services.messages, viewer, { ...args, after, before });
  return connection(page, () => page.rows.map(edgeOf), context);
}

export async function searchChats(
  args: Arguments<SearchRequest>,
  context: Context,
): Promise<SearchConnection> {
  const viewer = signedIn(context);
  const byRelevance = args.orderBy === 'RELEVANCE';
  const after = decodeHitCursor(viewer.sub, 'after', args.after, byRelevance);
  const page = await searchPage(context.services.messages, viewer, { ...args, after });
  const edges = () =>
    page.hits.map((hit) => ({
      ...hit,
      node: hit.row,
      get cursor() {
        return byRelevance || hit.approximate
          ? encodeRankedCursor(viewer.sub, { ...hit.row, ...hit })
          : placeOf(hit.row);
      },
    }));
  return { ...connection(page, edges, context), understood: page.understood };
}

// A cursor has a checksum: made for who asks for it.
const edgeOf = (row: Exchange): Edge => ({
  node: row,
  get cursor() {
    return placeOf(row);
  },
});

function connection<E extends Edge>(
  { rows, seq, hasNext, hasPrevious }: Page,
  edgesOf: () => readonly E[],
  context: Context,
): Connection<E> {
  const settled = rows.every(({ status }) => status !== 'PENDING' && status !== 'STREAMING');
  context.page = { seq, settled };
  return {
    get edges() {
      return edgesOf();
    },
    nodes: rows,
    seq,
    pageInfo: {
      hasNextPage: hasNext,
      hasPreviousPage: hasPrevious,
      get startCursor() {
        return edgesOf()[0]?.cursor ?? null;
      },
      get endCursor() {
        return edgesOf().at(-1)?.cursor ?? null;
      },
    },
  };
}
