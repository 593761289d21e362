import './history.css';
import { type RefObject, useEffect, useMemo, useRef, useState } from 'react';
import { type Chat, useChat, useHistory } from '../chat.tsx';
import { useOutbox } from '../composer/use-outbox.ts';
import { go, usePlace } from '../location.ts';
import { Beginning, HistoryFailure, HistorySkeleton, Older } from './around.tsx';
import { dayOf, StickyDay } from './day.tsx';
import { Entry } from './entry.tsx';
import { itemsOf } from './items.ts';
import { useJump } from './jump.ts';
import { placeInTime } from './place.ts';
import { entriesOf, isAtEnd, ReadingPlace, scrollToEnd } from './reading-place.tsx';

/** So near to an end, in px, the next page is read: a fling should find it there. */
const NEAR = 2_000;
/** Height of the sticky heading of the day, in px. */
const HEADING = 40;

/** The one long text: older pages come in at the top, what happens now at the end. */
export function History() {
  const chat = useChat();
  const { history } = chat;
  const view = useHistory();
  const unsent = useOutbox();
  const { messageId } = usePlace();
  const items = useMemo(() => itemsOf(view, unsent), [view, unsent]);
  const scroller = useRef<HTMLElement>(null);
  const [readsEnd, setReadsEnd] = useState(true);
  const [isUnderHeading, setUnderHeading] = useState(false);
  const { lit, missing } = useJump(messageId);

  function look(): void {
    const list = scroller.current;
    if (!list) return;
    setReadsEnd(isAtEnd(list));
    const edge = list.getBoundingClientRect().top;
    const top = [...entriesOf(list)].find(
      (entry) => entry.getBoundingClientRect().bottom > edge + HEADING,
    );
    placeInTime.set(top?.dataset['createdAt']);
    const heading = top?.querySelector('.day')?.getBoundingClientRect();
    setUnderHeading(heading !== undefined && heading.top >= edge);
    grow(list, chat);
  }

  // Also when a page that came was not enough to fill the screen.
  useEffect(look);
  useOwnWordsInView(unsent.length, scroller);
  useEndKept(scroller, readsEnd && !view.hasNewer);

  if (view.failure && view.nodes.length === 0) {
    return <HistoryFailure reason={view.failure} onRetry={() => void history.retry()} />;
  }
  if (view.loading) return <HistorySkeleton />;
  if (items.length === 0) return <Beginning />;

  return (
    <div className="history">
      {!isUnderHeading && <StickyDay />}
      {missing && (
        <p className="history-note" role="status">
          That message is not here any more.
        </p>
      )}
      <ReadingPlace
        scroller={scroller}
        followsEnd={!view.hasNewer}
        epoch={view.epoch}
        opensAt={view.opensAt}
      >
        <section
          className="history-list"
          aria-label="Conversation"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
          tabIndex={0}
          ref={scroller}
          onScroll={look}
        >
          <Older hasOlder={view.hasOlder} />
          {items.map((item, index) => (
            <Entry
              key={item.id}
              item={item}
              isNewDay={dayOf(items[index - 1]?.createdAt) !== dayOf(item.createdAt)}
              lit={item.id === lit?.id ? lit : undefined}
            />
          ))}
          <div className="history-foot" />
        </section>
      </ReadingPlace>
      {(!readsEnd || view.hasNewer) && (
        <button
          type="button"
          className="to-the-end"
          onClick={() => {
            go('/');
            toTheEnd(chat, scroller.current);
          }}
        >
          {view.hasNewer ? 'To the newest' : 'To the end'}
        </button>
      )}
    </div>
  );
}

function grow(list: HTMLElement, { history }: Chat): void {
  if (list.scrollTop < NEAR) void history.older();
  if (list.scrollHeight - list.scrollTop - list.clientHeight < NEAR) void history.newer();
}

function toTheEnd({ history }: Chat, list: HTMLElement | null): void {
  if (history.view.hasNewer) void history.toNewest();
  else if (list) scrollToEnd(list);
}

/** Who writes wants to see it: wherever one reads, the end comes into view. */
function useOwnWordsInView(count: number, scroller: RefObject<HTMLElement | null>): void {
  const chat = useChat();
  const before = useRef(count);
  useEffect(() => {
    if (count > before.current) toTheEnd(chat, scroller.current);
    before.current = count;
  }, [count, chat, scroller]);
}

/** Stays at the end when the window changes its size, or the composer does. */
function useEndKept(scroller: RefObject<HTMLElement | null>, isFollowed: boolean): void {
  const followed = useRef(isFollowed);
  followed.current = isFollowed;
  useEffect(() => {
    const list = scroller.current;
    if (!list) return;
    const observer = new ResizeObserver(() => {
      if (followed.current) scrollToEnd(list);
    });
    observer.observe(list);
    const foot = list.querySelector('.history-foot');
    if (foot) observer.observe(foot);
    return () => observer.disconnect();
  });
}
