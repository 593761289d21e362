import './search.css';
import { Dialog } from 'radix-ui';
import {
  type KeyboardEvent,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { flushSync } from 'react-dom';
import { useClient } from 'urql';
import { go, type Narrowing, usePlace, withQuery } from '../location.ts';
import { Chips } from './chips.tsx';
import { filterOf, hasWords, understand } from './filter.ts';
import { Filters } from './filters.tsx';
import { Grammar } from './grammar.tsx';
import { markHits } from './hits.ts';
import { Message } from './message.tsx';
import { optionId, Results } from './results.tsx';
import { createSearch } from './search.ts';
import { isShortcut } from './shortcut.tsx';
import { without } from './without.ts';

/** So long a writer has to pause. */
const PAUSE = 150;

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 5, PageUp: -5 };

/** The search over the page: what it searches for is in the URL. */
export function SearchDialog({ onClose }: { onClose(): void }) {
  const { messageId, query = '', narrowing } = usePlace();
  const understood = useMemo(() => understand(narrowing), [narrowing]);
  const { search, view } = useSearch(query, narrowing);
  const { text, setText, commit } = useDraft(query, narrowing);
  const [pointedAt, setPointedAt] = useState<string>();
  const [areDaysOpen, setDaysOpen] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const daysButton = useRef<HTMLButtonElement>(null);
  const before = useRef<Element>(null);
  const goesToHit = useRef(false);

  const isSettled = view.isCurrent && view.query === text;
  const ids = view.hits.map(({ node }) => node.id);
  const activeId = pointedAt && ids.includes(pointedAt) ? pointedAt : ids[0];

  const open = (id: string) => {
    goesToHit.current = true;
    // The history goes to a message when the URL comes to name it: to the same one again, it has to leave it.
    if (id === messageId) flushSync(() => go(`/${window.location.search}`, 'replace'));
    go(`/m/${id}`);
  };

  const onFieldKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const step = STEPS[event.key];
    if (step !== undefined) {
      const next = ids.indexOf(activeId ?? '') + step;
      setPointedAt(ids[Math.max(0, Math.min(next, ids.length - 1))]);
    } else if (event.key === 'Enter') {
      if (isSettled && activeId) open(activeId);
      else commit(text);
    } else {
      return;
    }
    event.preventDefault();
  };

  const onEscape = (event: globalThis.KeyboardEvent) => {
    // An input method has its own use for the key.
    if (areDaysOpen || event.isComposing) event.preventDefault();
    if (!areDaysOpen || event.isComposing) return;
    setDaysOpen(false);
    daysButton.current?.focus();
  };

  const focusField = () => {
    field.current?.focus();
    field.current?.select();
  };

  return (
    <Dialog.Root open onOpenChange={onClose}>
      <Dialog.Portal>
        <div className="search-veil" />
        <Dialog.Content
          className="search"
          aria-describedby={undefined}
          onEscapeKeyDown={onEscape}
          onKeyDown={(event) => isShortcut(event) && focusField()}
          onOpenAutoFocus={(event) => {
            event.preventDefault();
            before.current = document.activeElement;
            focusField();
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            const { current } = before;
            if (!goesToHit.current && current instanceof HTMLElement)
              current.focus({ preventScroll: true });
          }}
        >
          <Dialog.Title className="only-read-aloud">Search</Dialog.Title>
          <div className="search-field">
            <input
              ref={field}
              type="text"
              role="combobox"
              aria-label="Search for"
              aria-autocomplete="list"
              aria-expanded={ids.length > 0}
              aria-controls="search-hits"
              aria-activedescendant={activeId && optionId(activeId)}
              placeholder="What was said …"
              autoComplete="off"
              autoCapitalize="none"
              enterKeyHint="go"
              spellCheck={false}
              maxLength={200}
              dir="auto"
              value={text}
              onChange={({ target }) => setText(target.value)}
              onKeyDown={onFieldKeyDown}
            />
            <Dialog.Close className="search-close">Close</Dialog.Close>
          </div>
          <Filters
            narrowing={narrowing}
            understood={understood}
            areDaysOpen={areDaysOpen}
            daysButton={daysButton}
            onToggleDays={() => setDaysOpen(!areDaysOpen)}
            onChange={(next) => commit(text, next)}
          />
          <Chips
            terms={view.understood}
            isCurrent={isSettled}
            onRemove={(term) => {
              commit(without(text, term));
              field.current?.focus();
            }}
          />
          <Message
            query={query}
            view={view}
            onWiden={
              Object.keys(filterOf(understood)).length > 0
                ? () => commit(text, { moods: [] })
                : undefined
            }
          />
          <Grammar
            isOpen={!hasWords(text)}
            onUse={(part) => {
              setText(`${text.trimEnd()} ${part}`.trimStart());
              field.current?.focus();
            }}
          />
          <Results
            view={view}
            activeId={activeId}
            onPoint={setPointedAt}
            onOpen={open}
            onMore={search.more}
          />
          {view.failure && (
            <div className="search-message">
              <p role="alert">{view.failure}</p>
              <button type="button" onClick={search.retry}>
                Try again
              </button>
            </div>
          )}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** Searches for what the URL says, and marks what is found. */
function useSearch(query: string, narrowing: Narrowing) {
  const client = useClient();
  const [search] = useState(() => createSearch(client));
  const view = useSyncExternalStore(search.subscribe, () => search.view);
  useEffect(() => {
    const isRequest = hasWords(query);
    search.run(isRequest ? { query, filter: filterOf(understand(narrowing)) } : undefined);
    if (!isRequest) markHits([]);
  }, [search, query, narrowing]);
  useEffect(() => () => search.run(undefined), [search]);
  useEffect(() => {
    if (view.isCurrent) markHits(view.hits.map(({ node }) => node));
  }, [view]);
  return { search, view };
}

/** What stands in the field: the URL's query, or what has been written since and goes there. */
function useDraft(query: string, narrowing: Narrowing) {
  // Another query of the URL, by going back, is worth more than what was written before it.
  const [draft, setDraft] = useState<{ text: string; since: string }>();
  const text = draft?.since === query ? draft.text : query;

  const commit = useCallback(
    (next: string, narrowed: Narrowing = narrowing) => {
      setDraft(undefined);
      go(withQuery(next, narrowed), 'replace');
    },
    [narrowing],
  );

  useEffect(() => {
    if (text === query) return;
    const pause = setTimeout(commit, PAUSE, text);
    return () => clearTimeout(pause);
  }, [text, query, commit]);

  return { text, commit, setText: (next: string) => setDraft({ text: next, since: query }) };
}
