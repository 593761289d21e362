import type { Logger } from '../log.ts';
import type { Events } from './events.ts';
import { createListeners } from './listeners.ts';

/** Events of a server that is one process. */
export function createMemoryEvents(log: Logger): Events {
  const listeners = createListeners(log);
  return {
    publish: (userId, hint) => listeners.tell(userId, hint),
    async listen(userId, listener) {
      listeners.add(userId, listener);
      return () => listeners.remove(userId, listener);
    },
    // Nothing is lost inside a process.
    onGap: listeners.onGap,
    async close() {},
  };
}
