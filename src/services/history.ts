import type { Claims } from '../db/database.ts';
import type { MessageRow, MessageStore, Page, Position } from '../db/messages.ts';
import { badInput } from '../errors.ts';
import { checkId, checkInstant, checkRange } from './input.ts';

export type { MessageRow, Page, Position };

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
  readonly filter?: ChatFilter | null | undefined;
}

/** GraphQL's Int ends here. */
const MAX_OFFSET = 2 ** 31 - 1;

/** A page of the user's exchanges, newest first. */
export async function historyPage(
  messages: MessageStore,
  viewer: Claims,
  { first, after, offset, filter }: HistoryRequest,
): Promise<Page> {
  return messages.page(viewer, {
    first: checkFirst(first ?? 50),
    after,
    offset: checkRange('offset', offset ?? 0, 0, MAX_OFFSET),
    ...checkFilter(filter),
  });
}

/** One exchange, or undefined if there is none, or it is another user's. */
export async function findMessage(
  messages: MessageStore,
  viewer: Claims,
  id: string,
): Promise<MessageRow | undefined> {
  return messages.find(viewer, checkId('id', id));
}

export function checkFirst(first: number): number {
  return checkRange('first', first, 1, 100);
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
