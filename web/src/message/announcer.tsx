import { useEffect, useRef, useState } from 'react';
import { useHistory } from '../chat.tsx';
import { useOutbox } from '../composer/use-outbox.ts';
import { readFragment } from '../graphql/generated/index.ts';
import type { HistoryNode } from '../history/window.ts';
import { ExchangeChatMessage } from './exchange.tsx';
import { toPlain } from './plain.ts';
import { whatBecame, whyUnsent } from './words.ts';

/** After so long a screen reader has taken up what it is to say. */
const HEARD_MS = 1_000;

const listeners = new Set<(words: string) => void>();

/** Has a screen reader say something, once it has said what it is saying now. */
export function announce(words: string): void {
  for (const listener of [...listeners]) listener(words);
}

/** The page's one live region: a reply is read aloud when it is there, and not piece by piece. */
export function Announcer() {
  const [words, setWords] = useState('');
  // What was said is not to be found again by somebody who reads the page.
  useEffect(() => {
    if (!words) return;
    const timer = setTimeout(() => setWords(''), HEARD_MS);
    return () => clearTimeout(timer);
  }, [words]);
  useEffect(() => {
    listeners.add(setWords);
    return () => {
      listeners.delete(setWords);
    };
  }, []);
  useEnds();
  useSetbacks();
  return (
    <div className="only-read-aloud" role="log" aria-label="News">
      {words}
    </div>
  );
}

const isRunning = ({ status }: HistoryNode) => status === 'PENDING' || status === 'STREAMING';

/** Announces each reply that was running and has ended. */
function useEnds(): void {
  const { nodes } = useHistory();
  const running = useRef<ReadonlySet<string>>(new Set());
  useEffect(() => {
    for (const node of nodes) {
      if (!running.current.has(node.id) || isRunning(node)) continue;
      const { status, response, failure } = readFragment(ExchangeChatMessage, node);
      const end = whatBecame(status, failure);
      announce([response && `Reply: ${toPlain(response)}`, end].filter(Boolean).join(' '));
    }
    running.current = new Set(nodes.filter(isRunning).map(({ id }) => id));
  }, [nodes]);
}

/** Announces that a message waits or was refused, once. */
function useSetbacks(): void {
  const unsent = useOutbox();
  const last = unsent.at(-1);
  const words =
    last?.state === 'waiting' || last?.state === 'refused' ? whyUnsent(last) : undefined;
  useEffect(() => {
    if (words) announce(words);
  }, [words]);
}
