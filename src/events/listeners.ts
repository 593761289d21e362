import type { Logger } from '../log.ts';
import type { Hint, HintListener } from './events.ts';

/** Who listens to whom in this process. One that throws harms nobody else. */
export function createListeners(log: Logger) {
  const byUser = new Map<string, Set<HintListener>>();
  const gaps = new Set<() => void>();
  let size = 0;

  function call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      log.error({ err: (error as Error).stack }, 'a listener threw');
    }
  }

  return {
    get size() {
      return size;
    },
    has: (userId: string): boolean => byUser.has(userId),
    users: () => byUser.keys(),
    /** Answers the way to stop, which says whether it was the user's last one. */
    add(userId: string, listener: HintListener): () => boolean {
      // Of its own, so that the same function can listen twice and each stops only itself.
      const own: HintListener = (hint) => listener(hint);
      const listeners = byUser.get(userId) ?? new Set();
      byUser.set(userId, listeners.add(own));
      size += 1;
      return () => {
        if (!listeners.delete(own)) return false;
        size -= 1;
        return listeners.size === 0 && byUser.delete(userId);
      };
    },
    tell(userId: string, hint: Hint): void {
      for (const listener of [...(byUser.get(userId) ?? [])]) call(() => listener(hint));
    },
    onGap(listener: () => void): () => void {
      gaps.add(listener);
      return () => gaps.delete(listener);
    },
    tellGap(): void {
      for (const listener of [...gaps]) call(listener);
    },
  };
}
