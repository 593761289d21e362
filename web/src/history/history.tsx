import './history.css';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Virtuoso, type VirtuosoHandle } from 'react-virtuoso';
import { useChat, useHistory } from '../chat.tsx';
import { Unsent } from '../composer/unsent.tsx';
import { useOutbox } from '../composer/use-outbox.ts';
import { go, usePlace } from '../location.ts';
import { Exchange } from '../message/exchange.tsx';
import { Beginning, HistoryFailure, HistorySkeleton, Older } from './around.tsx';
import { DayHeading, dayOf, StickyDay } from './day.tsx';
import { itemsOf, type Item } from './items.ts';
import { useJump } from './jump.ts';
import { placeInTime } from './place.ts';
import { topmost } from './topmost.ts';

/** How far from the end one may be and still be said to read it, in px. */
const AT_THE_END = 48;
/** What is rendered beyond the edges, in px: a fling finds something there. */
const BEYOND = 1_200;

/** The one long text: older pages come in at the top, what happens now at the end. */
export function History() {
  const { history } = useChat();
  const view = useHistory();
  const unsent = useOutbox();
  const { messageId } = usePlace();
  const items = useMemo(() => itemsOf(view, unsent), [view, unsent]);
  const list = useRef<VirtuosoHandle>(null);
  const scroller = useRef<HTMLElement | null>(null);
  const [isAtEnd, setAtEnd] = useState(true);
  const { litId, missing } = useJump(messageId, list);

  useFollowOwnWords(unsent.length, list);

  if (view.failure && view.nodes.length === 0) {
    return <HistoryFailure reason={view.failure} onRetry={() => void history.retry()} />;
  }
  if (view.loading) return <HistorySkeleton />;
  if (items.length === 0) return <Beginning />;

  const tellPlace = () => {
    const at = scroller.current && topmost(scroller.current);
    if (at) placeInTime.set(at);
  };

  return (
    <section className="history" aria-label="Conversation">
      <StickyDay />
      {missing && (
        <p className="history-note" role="status">
          That message is not here any more.
        </p>
      )}
      <Virtuoso
        key={view.epoch}
        ref={list}
        scrollerRef={(element) => {
          scroller.current = element as HTMLElement | null;
        }}
        className="history-list"
        data={items}
        context={{ view }}
        firstItemIndex={view.firstIndex}
        initialTopMostItemIndex={
          view.opensAt === 'end' ? { index: 'LAST', align: 'end' } : { index: 0, align: 'start' }
        }
        computeItemKey={(_, { id }) => id}
        increaseViewportBy={BEYOND}
        atBottomThreshold={AT_THE_END}
        atBottomStateChange={setAtEnd}
        followOutput={view.hasNewer ? false : 'auto'}
        startReached={() => void history.older()}
        endReached={() => void history.newer()}
        onScroll={tellPlace}
        totalListHeightChanged={tellPlace}
        skipAnimationFrameInResizeObserver
        components={COMPONENTS}
        itemContent={(index, item) => (
          <Entry
            item={item}
            before={items[index - view.firstIndex - 1]}
            isLit={item.id === litId}
          />
        )}
      />
      {(!isAtEnd || view.hasNewer) && (
        <button
          type="button"
          className="to-the-end"
          onClick={() => {
            go('/');
            if (view.hasNewer) void history.toNewest();
            else list.current?.scrollToIndex({ index: 'LAST', align: 'end' });
          }}
        >
          {view.hasNewer ? 'To the newest' : 'To the end'}
        </button>
      )}
    </section>
  );
}

const COMPONENTS = { Header: Older, Footer: () => <div className="history-foot" /> };

interface EntryProps {
  readonly item: Item;
  readonly before: Item | undefined;
  readonly isLit: boolean;
}

function Entry({ item, before, isLit }: EntryProps) {
  const isNewDay = !before || dayOf(before.createdAt) !== dayOf(item.createdAt);
  return (
    <div
      className={isLit ? 'entry lit' : 'entry'}
      data-created-at={item.createdAt}
      id={`m-${item.id}`}
    >
      {isNewDay && <DayHeading iso={item.createdAt} />}
      {item.node ? <Exchange message={item.node} /> : <Unsent item={item.unsent} />}
    </div>
  );
}

/** Who writes wants to see it: wherever one reads, the end comes into view. */
function useFollowOwnWords(count: number, list: React.RefObject<VirtuosoHandle | null>): void {
  const { history } = useChat();
  const before = useRef(count);
  useEffect(() => {
    if (count > before.current) {
      if (history.view.hasNewer) void history.toNewest();
      else list.current?.scrollToIndex({ index: 'LAST', align: 'end' });
    }
    before.current = count;
  }, [count, history, list]);
}
