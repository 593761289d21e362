import './shortcut.css';
import { Suspense, useCallback, useEffect, useRef } from 'react';
import { useCanBeRead } from '../chat.tsx';
import { lazily } from '../failing/failing.tsx';
import { go, type Place, usePlace, withQuery } from '../location.ts';
import { markHits } from './hits.ts';

const load = () => import('./dialog.tsx');

/** Fetches the dialog ahead of its first use; what fails then is tried again when it is opened. */
const prepare = () => void load().catch(() => {});

const Dialog = lazily('The search', async () => (await load()).SearchDialog);

/** Kept with the entry of the browser's history that opening the search made. */
const OPENED_HERE = 'search';

/** Ctrl or Cmd K, also where the key's letter is not a Latin one. */
export function isShortcut({ ctrlKey, metaKey, altKey, shiftKey, key, code }: KeyPress): boolean {
  if (ctrlKey === metaKey || altKey || shiftKey) return false;
  return key.toLowerCase() === 'k' || (code === 'KeyK' && !/^[a-z]$/i.test(key));
}

type KeyPress = Pick<KeyboardEvent, 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey' | 'key' | 'code'>;

/** The way into the search: a button, Ctrl or Cmd K, and `?q=` in the URL. */
export function Search() {
  const place = usePlace();
  const canBeRead = useCanBeRead();
  const isOpen = place.query !== undefined;
  const last = useRef<Place>(undefined);

  const open = useCallback(() => {
    const { query = '', narrowing } = last.current ?? {};
    go(withQuery(query, narrowing), 'push', OPENED_HERE);
  }, []);

  const close = useCallback(() => {
    markHits([]);
    if (window.history.state === OPENED_HERE) window.history.back();
    else go(withQuery(undefined), 'replace');
  }, []);

  useEffect(() => {
    if (isOpen) last.current = place;
  }, [isOpen, place]);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (!isShortcut(event)) return;
      event.preventDefault();
      if (!isOpen) open();
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, [isOpen, open]);

  useEffect(() => {
    if (!canBeRead) return;
    // Safari has no idle callbacks.
    if (!window.requestIdleCallback) return prepare();
    const idle = window.requestIdleCallback(prepare);
    return () => window.cancelIdleCallback(idle);
  }, [canBeRead]);

  useEffect(() => () => markHits([]), []);

  return (
    <>
      <button type="button" aria-label="Search" aria-keyshortcuts="Control+K Meta+K" onClick={open}>
        <span className="in-words">Search</span>
        <svg className="in-short search-glass" viewBox="0 0 20 20" aria-hidden="true">
          <circle cx="8.5" cy="8.5" r="5.5" />
          <path d="M12.5 12.5 17 17" />
        </svg>
      </button>
      {isOpen && (
        <Suspense fallback={null}>
          <Dialog onClose={close} />
        </Suspense>
      )}
    </>
  );
}
