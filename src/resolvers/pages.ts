import {
  type HistoryRequest,
  historyPage,
  type MessageRow,
  type Page,
} from '../services/history.ts';
import { type Highlight, type SearchRequest, searchPage } from '../services/search.ts';
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

export interface SearchEdge extends Edge {
  readonly highlights: () => readonly Highlight[];
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
  return connection(page, context, (edge) => edge);
}

export async function searchChats(
  args: Arguments<SearchRequest>,
  context: Context,
): Promise<Connection<SearchEdge>> {
  const viewer = signedIn(context);
  const after = decodeCursor(viewer.sub, 'after', args.after);
  const page = await searchPage(context.services.messages, viewer, { ...args, after });
  return connection(page, context, (edge) => ({
    ...edge,
    highlights: () => page.highlights(edge.node),
  }));
}

function connection<E extends Edge>(
  page: Page,
  context: Context,
  toEdge: (edge: Edge) => E,
): Connection<E> {
  const { rows, seq, hasNext, hasPrevious } = page;
  const settled = rows.every(({ status }) => status !== 'PENDING' && status !== 'STREAMING');
  context.page = { seq, settled };
  const edges = rows.map((node) => toEdge({ cursor: placeOf(node), node }));
  return {
    edges,
    nodes: rows,
    seq,
    pageInfo: {
      hasNextPage: hasNext,
      hasPreviousPage: hasPrevious,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}
