import { Component, type ReactNode, type RefObject } from 'react';
import type { HistoryView } from './window.ts';

interface Props {
  /** Inside the children: the ref of a parent would not be there yet when this is mounted. */
  readonly scroller: RefObject<HTMLElement | null>;
  /** Whether the end is followed: by who reads it, and as long as there is nothing newer. */
  readonly followsEnd: boolean;
  /** Changes when what is on show has nothing to do any more with what was. */
  readonly epoch: number;
  readonly opensAt: HistoryView['opensAt'];
  readonly children: ReactNode;
}

type Snapshot =
  | { readonly kind: 'end' }
  | { readonly kind: 'entry'; readonly entry: HTMLElement; readonly top: number }
  | undefined;

/** How far from the end one may be and still be said to read it, in px. */
const AT_THE_END = 48;

/** Where a view opens, in px from the top: the heading of the day that sticks there covers the rest. */
const BELOW_THE_DAY = 32;

const topWithin = (scroller: HTMLElement, entry: HTMLElement): number =>
  entry.getBoundingClientRect().top - scroller.getBoundingClientRect().top;

export const isAtEnd = ({ scrollHeight, scrollTop, clientHeight }: HTMLElement): boolean =>
  scrollHeight - scrollTop - clientHeight <= AT_THE_END;

export function scrollToEnd(scroller: HTMLElement): void {
  scroller.scrollTop = scroller.scrollHeight;
}

/**
 * Keeps what is being read where it stands, whatever comes in or goes away above and below it. A class,
 * since only classes are asked before the page changes (getSnapshotBeforeUpdate).
 */
export class ReadingPlace extends Component<Props> {
  override componentDidMount(): void {
    this.#open();
  }

  override getSnapshotBeforeUpdate(before: Props): Snapshot {
    const scroller = this.props.scroller.current;
    if (!scroller || before.epoch !== this.props.epoch) return undefined;
    if (before.followsEnd && this.props.followsEnd && isAtEnd(scroller)) return { kind: 'end' };
    const { top: edge } = scroller.getBoundingClientRect();
    for (const entry of entriesOf(scroller)) {
      const { top, bottom } = entry.getBoundingClientRect();
      if (bottom > edge) return { kind: 'entry', entry, top };
    }
    return undefined;
  }

  override componentDidUpdate(before: Props, _state: unknown, snapshot: Snapshot): void {
    const scroller = this.props.scroller.current;
    if (!scroller) return;
    if (before.epoch !== this.props.epoch) this.#open();
    else if (snapshot?.kind === 'end') scrollToEnd(scroller);
    else if (snapshot?.entry.isConnected) {
      const moved = snapshot.entry.getBoundingClientRect().top - snapshot.top;
      if (moved !== 0) scroller.scrollTop += moved;
    }
  }

  #open(): void {
    const scroller = this.props.scroller.current;
    if (!scroller) return;
    const { opensAt } = this.props;
    if (opensAt === 'end') {
      scrollToEnd(scroller);
      return;
    }
    const entry = [...entriesOf(scroller)].find(
      ({ dataset }) => opensAt === 'start' || dataset['id'] === opensAt.id,
    );
    if (entry) scroller.scrollTop += topWithin(scroller, entry) - BELOW_THE_DAY;
  }

  override render(): ReactNode {
    return this.props.children;
  }
}

export const entriesOf = (scroller: HTMLElement): NodeListOf<HTMLElement> =>
  scroller.querySelectorAll<HTMLElement>('[data-created-at]');
