import { useCallback, useEffect, useRef, useState } from 'react';

const keyOf = (userId: string) => `chatkeep:draft:${userId}`;
/** Between the last key press and the moment at which a draft is kept. */
const REST_MS = 250;

const listeners = new Set<(text: string) => void>();

/** Puts a text back into the composer, behind what stands there. */
export function putBack(text: string): void {
  for (const listener of [...listeners]) listener(text);
}

/** What is being written. It survives a reload, and is each user's own on this device. */
export function useDraft(userId: string): [string, (text: string) => void] {
  const [text, setText] = useState(() => read(userId));
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(text);

  const keep = useCallback(() => {
    clearTimeout(timer.current);
    timer.current = undefined;
    write(userId, latest.current);
  }, [userId]);

  const change = useCallback(
    (changed: string) => {
      setText(changed);
      latest.current = changed;
      // An emptied one at once: what was sent must not come back as a draft.
      if (!changed) return keep();
      clearTimeout(timer.current);
      timer.current = setTimeout(keep, REST_MS);
    },
    [keep],
  );

  useEffect(() => {
    const add = (more: string) =>
      change(latest.current.trim() ? `${latest.current.trimEnd()}\n\n${more}` : more);
    const leave = () => {
      if (timer.current !== undefined) keep();
    };
    listeners.add(add);
    window.addEventListener('pagehide', leave);
    return () => {
      leave();
      listeners.delete(add);
      window.removeEventListener('pagehide', leave);
    };
  }, [change, keep]);

  return [text, change];
}

function read(userId: string): string {
  try {
    return localStorage.getItem(keyOf(userId)) ?? '';
  } catch {
    return '';
  }
}

function write(userId: string, text: string): void {
  try {
    if (text) localStorage.setItem(keyOf(userId), text);
    else localStorage.removeItem(keyOf(userId));
  } catch {
    // A browser that keeps nothing: the draft lives as long as the page.
  }
}
