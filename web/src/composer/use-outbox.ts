import { useSyncExternalStore } from 'react';
import { useChat } from '../chat.tsx';
import type { Unsent } from './outbox.ts';

/** What is not known to be stored by the server yet, oldest first. */
export function useOutbox(): readonly Unsent[] {
  const { outbox } = useChat();
  return useSyncExternalStore(outbox.subscribe, () => outbox.unsent);
}
