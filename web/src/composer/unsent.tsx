import type { Unsent as UnsentMessage } from './outbox.ts';

/** A message that is not stored yet, with its state in words. */
export function Unsent({ item }: { item: UnsentMessage }) {
  return (
    <article className="exchange">
      <p className="said">{item.message}</p>
      <p>{item.state}</p>
    </article>
  );
}
