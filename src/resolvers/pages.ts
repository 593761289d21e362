import {
  type HistoryRequest,
  historyPage,
  type MessageRow,
  type Page,
} from '../services/history.ts';
import {
  type SearchHit,
  type SearchRequest,
  type SearchTerm,
  searchPage,
} from '../services/search.ts';
import { type Context, signedIn } from './context.ts';
import { decodeCursor } from './cursor.ts';
import { placeOf } from './messages.ts';

export interface Edge {
  readonly cursor: string;
  readonly node: MessageRow;
}

export interface Connection<E extends Edge = Edge> {
  readonly edges: readonly E[];
  readonly nodes: readonly MessageRow[];
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
  const after = decodeCursor(viewer.sub, 'after', args.after);
  const page = await searchPage(context.services.messages, viewer, { ...args, after });
  const { hits, understood } = page;
  const edges = hits.map(({ row, ...hit }) => ({ ...edgeOf(row), ...hit }));
  return { ...connection(page, () => edges, context), understood };
}

const edgeOf = (row: MessageRow): Edge => ({ cursor: placeOf(row), node: row });

function connection<E extends Edge>(
  { rows, seq, hasNext, hasPrevious }: Page,
  edgesOf: () => readonly E[],
  context: Context,
): Connection<E> {
  const settled = rows.every(({ status }) => status !== 'PENDING' && status !== 'STREAMING');
  context.page = { seq, settled };
  const cursorOf = (row: MessageRow | undefined) => (row ? placeOf(row) : null);
  // A cursor has a checksum: made for who asks for it.
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
        return cursorOf(rows[0]);
      },
      get endCursor() {
        return cursorOf(rows.at(-1));
      },
    },
  };
}
