import type { Unsent } from '../composer/outbox.ts';
import type { HistoryNode, HistoryView } from './window.ts';

/** What the list shows one of: an exchange that is stored, or one that is still to be sent. */
export type Item = { readonly id: string; readonly createdAt: string } & (
  | { readonly node: HistoryNode; readonly unsent?: undefined }
  | { readonly node?: undefined; readonly unsent: Unsent }
);

/**
 * What is not sent yet stands at the end, and becomes the stored exchange of the same id without moving.
 * Somewhere in the past it is not on show.
 */
export function itemsOf(
  { nodes, hasNewer }: HistoryView,
  unsent: readonly Unsent[],
): readonly Item[] {
  const items: Item[] = nodes.map((node) => ({ id: node.id, createdAt: node.createdAt, node }));
  if (hasNewer || unsent.length === 0) return items;
  const stored = new Set(nodes.slice(-200).map(({ id }) => id));
  for (const one of unsent) {
    if (!stored.has(one.id)) items.push({ id: one.id, createdAt: one.createdAt, unsent: one });
  }
  return items;
}
