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
  return connection(page, edgeOf, context);
}

export async function searchChats(
  args: Arguments<SearchRequest>,
  context: Context,
): Promise<SearchConnection> {
  const viewer = signedIn(context);
  const byRelevance = args.orderBy === 'RELEVANCE';
  const after = decodeHitCursor(viewer.sub, 'after', args.after, byRelevance);
  const page = await searchPage(context.services.messages, viewer, { ...args, after });
  const edgeOfHit = (row: Exchange, i: number): SearchEdge => {
    const hit = page.hits[i] as SearchHit;
    return {
      ...hit,
      node: row,
      get cursor() {
        return byRelevance || hit.approximate
          ? encodeRankedCursor(viewer.sub, { ...row, ...hit })
          : placeOf(row);
      },
    };
  };
  return { ...connection(page, edgeOfHit, context), understood: page.understood };
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
  edgeAt: (row: Exchange, i: number) => E,
  context: Context,
): Connection<E> {
  const settled = rows.every(({ status }) => status !== 'PENDING' && status !== 'STREAMING');
  context.page = { seq, settled };
  const cursorAt = (i: number): string | null => {
    const row = rows[i];
    return row ? edgeAt(row, i).cursor : null;
  };
  return {
    get edges() {
      return rows.map(edgeAt);
    },
    nodes: rows,
    seq,
    pageInfo: {
      hasNextPage: hasNext,
      hasPreviousPage: hasPrevious,
      get startCursor() {
        return cursorAt(0);
      },
      get endCursor() {
        return cursorAt(rows.length - 1);
      },
    },
  };
}
