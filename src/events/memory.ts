import type { Logger } from '../log.ts';
import type { Events } from './events.ts';
import { createListeners } from './listeners.ts';

/** Events of a server that is one process. */
export function createMemoryEvents(log: Logger): Events {
  const here = createListeners(log);
  return {
    publish: (userId, hint) => here.tell(userId, hint),
    listen: async (userId, listener) => here.add(userId, listener),
    // Nothing is lost inside a process.
    onGap: here.onGap,
    get listeners() {
      return here.size;
    },
    async close() {},
  };
}
