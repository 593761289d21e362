import { memo, useEffect, useRef } from 'react';
import { Unsent } from '../composer/unsent.tsx';
import { Exchange } from '../message/exchange.tsx';
import { DayHeading } from './day.tsx';
import type { Item } from './items.ts';
import type { Lit } from './jump.ts';

interface Props {
  readonly item: Item;
  readonly isNewDay: boolean;
  /** One has jumped here. */
  readonly lit: Lit | undefined;
}

/** One exchange in its place, under the heading of its day if it is the day's first. */
export const Entry = memo(
  function Entry({ item, isNewDay, lit }: Props) {
    const place = useRef<HTMLDivElement>(null);
    useEffect(() => {
      // Who goes to a message goes on from there, by keyboard and with a screen reader too.
      if (lit) place.current?.focus({ preventScroll: true });
    }, [lit]);
    return (
      <div
        ref={place}
        tabIndex={-1}
        className={lit ? 'entry lit' : 'entry'}
        data-created-at={item.createdAt}
        data-id={item.id}
      >
        {isNewDay && <DayHeading iso={item.createdAt} />}
        {item.node ? <Exchange message={item.node} /> : <Unsent item={item.unsent} />}
      </div>
    );
  },
  // Items are made anew with each view; what they show is not.
  (before, now) =>
    before.item.node === now.item.node &&
    before.item.unsent === now.item.unsent &&
    before.isNewDay === now.isNewDay &&
    before.lit === now.lit,
);
