import type { Logger } from '../log.ts';
import type { Hint, HintListener } from './events.ts';

/** Who listens to whom in this process. */
export function createListeners(log: Logger) {
  const byUser = new Map<string, Set<HintListener>>();
  const gaps = new Set<() => void>();

  function call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      log.error({ err: (error as Error).stack }, 'a listener threw');
    }
  }

  return {
    /** True for the user's first listener. */
    add(userId: string, listener: HintListener): boolean {
      const listeners = byUser.get(userId);
      if (listeners) listeners.add(listener);
      else byUser.set(userId, new Set([listener]));
      return !listeners;
    },
    /** True if it was the user's last one. */
    remove(userId: string, listener: HintListener): boolean {
      const listeners = byUser.get(userId);
      if (!listeners?.delete(listener) || listeners.size > 0) return false;
      return byUser.delete(userId);
    },
    tell(userId: string, hint: Hint): void {
      for (const listener of byUser.get(userId) ?? []) call(() => listener(hint));
    },
    onGap(listener: () => void): () => void {
      gaps.add(listener);
      return () => gaps.delete(listener);
    },
    tellGap(): void {
      for (const listener of gaps) call(listener);
    },
  };
}
