import type { Claims } from '../db/database.ts';
import type { Exchange, MessageRow, MessageStore, Page as Read, Position } from '../db/messages.ts';
import { badInput, notFound } from '../errors.ts';
import { checkId, checkInstant, checkRange } from './input.ts';

export type { Exchange, MessageRow, Position };

/** A page of the list that is newest first. */
export interface Page extends Pick<Read, 'seq' | 'rows'> {
  /** Whether older ones follow. */
  readonly hasNext: boolean;
  /** Whether newer ones stand before it. */
  readonly hasPrevious: boolean;
}

export interface ChatFilter {
  readonly from?: Date | null | undefined;
  readonly to?: Date | null | undefined;
  readonly mood?: readonly MessageRow['mood'][] | null | undefined;
  readonly hasPersonalityContext?: boolean | null | undefined;
}

export interface HistoryRequest {
  readonly first?: number | null | undefined;
  readonly after?: Position | undefined;
  readonly offset?: number | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: Position | undefined;
  /** The id of an exchange. */
  readonly around?: string | null | undefined;
  readonly filter?: ChatFilter | null | undefined;
}

/** GraphQL's Int ends here. */
const MAX_OFFSET = 2 ** 31 - 1;

const DEFAULT_FIRST = 50;

/** A page of the user's exchanges, newest first, read from either end, from a place, or around one. */
export function historyPage(
  messages: MessageStore,
  viewer: Claims,
  request: HistoryRequest,
): Promise<Page> {
  const { around } = request;
  if (typeof around === 'string') return inTheMiddle(messages, viewer, { ...request, around });
  const last = request.last ?? undefined;
  return last === undefined
    ? forwards(messages, viewer, request)
    : backwards(messages, viewer, { ...request, last });
}

async function forwards(
  messages: MessageStore,
  viewer: Claims,
  { first, after, offset, before, filter }: HistoryRequest,
): Promise<Page> {
  if (before) throw badInput('before', 'before goes with last.');
  const skipped = checkRange('offset', offset ?? 0, 0, MAX_OFFSET);
  const { seq, rows, hasMore } = await messages.page(viewer, {
    size: checkSize('first', first ?? DEFAULT_FIRST),
    towards: 'older',
    place: after,
    offset: skipped,
    ...checkFilter(filter),
  });
  return { seq, rows, hasNext: hasMore, hasPrevious: after !== undefined || skipped > 0 };
}

async function backwards(
  messages: MessageStore,
  viewer: Claims,
  { first, after, offset, last, before, filter }: HistoryRequest & { readonly last: number },
): Promise<Page> {
  const size = checkSize('last', last);
  // The default of first is there although nobody asked for it.
  if (after || (offset ?? 0) !== 0 || (first ?? DEFAULT_FIRST) !== DEFAULT_FIRST) {
    throw badInput('last', 'last goes with before and filter, not with first, after or offset.');
  }
  const { seq, rows, hasMore } = await messages.page(viewer, {
    size,
    towards: 'newer',
    place: before,
    ...checkFilter(filter),
  });
  return { seq, rows, hasNext: before !== undefined, hasPrevious: hasMore };
}

/** With an even size there is one more of the older ones. */
async function inTheMiddle(
  messages: MessageStore,
  viewer: Claims,
  { around, first, after, offset, last, before, filter }: HistoryRequest & { around: string },
): Promise<Page> {
  const id = checkId('around', around);
  if (after || (offset ?? 0) !== 0 || (last ?? undefined) !== undefined || before) {
    throw badInput(
      'around',
      'around goes with first and filter, not with a cursor, last or offset.',
    );
  }
  const beside = checkSize('first', first ?? DEFAULT_FIRST) - 1;
  const newer = Math.floor(beside / 2);
  const page = await messages.around(viewer, {
    id,
    newer,
    older: beside - newer,
    ...checkFilter(filter),
  });
  if (!page) throw notFound();
  return { seq: page.seq, rows: page.rows, hasNext: page.hasOlder, hasPrevious: page.hasNewer };
}

/** One exchange, or undefined if there is none, or it is another user's. */
export async function findMessage(
  messages: MessageStore,
  viewer: Claims,
  id: string,
): Promise<MessageRow | undefined> {
  return messages.find(viewer, checkId('id', id));
}

export function checkSize(argument: 'first' | 'last', size: number): number {
  return checkRange(argument, size, 1, 100);
}

export function checkFilter(filter: ChatFilter | null | undefined) {
  const from = filter?.from ?? undefined;
  const to = filter?.to ?? undefined;
  checkInstant('filter.from', from);
  checkInstant('filter.to', to);
  if (from && to && from > to) throw badInput('filter.from', 'from is after to.');
  return {
    from,
    to,
    moods: filter?.mood ?? undefined,
    hasPersonalityContext: filter?.hasPersonalityContext ?? undefined,
  };
}
