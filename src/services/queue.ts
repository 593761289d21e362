import { at } from '../timers.ts';

export interface Queue<T> extends AsyncIterableIterator<T> {
  push(value: T): void;
}

interface QueueOptions {
  /** So many values wait; one more ends the queue with `tooSlow()`. */
  readonly limit: number;
  readonly tooSlow: () => Error;
  /** The queue ends then by itself. */
  readonly until: Date;
  /** Called once, however the queue ends. */
  readonly onEnd: () => void;
}

/**
 * A bounded queue that one reader iterates over. Not an async generator: that cannot be returned from
 * while it waits, and a subscriber that went away would stay for ever (measured: 0 of 10 cleaned up).
 */
export function createQueue<T>({ limit, tooSlow, until, onEnd }: QueueOptions): Queue<T> {
  const waiting: T[] = [];
  const readers: {
    resolve: (result: IteratorResult<T>) => void;
    reject: (error: Error) => void;
  }[] = [];
  let ended = false;
  let failure: Error | undefined;

  function end(error?: Error): void {
    if (ended) return;
    ended = true;
    failure = error;
    callOff();
    if (error) waiting.length = 0;
    for (const reader of readers.splice(0)) {
      if (error) reader.reject(error);
      else reader.resolve({ done: true, value: undefined });
    }
    onEnd();
  }

  const callOff = at(until, () => end());

  return {
    push(value) {
      if (ended) return;
      const reader = readers.shift();
      if (reader) reader.resolve({ done: false, value });
      else if (waiting.length < limit) waiting.push(value);
      else end(tooSlow());
    },
    async next() {
      const value = waiting.shift();
      if (value !== undefined) return { done: false, value };
      if (failure) {
        const error = failure;
        failure = undefined;
        throw error;
      }
      if (ended) return { done: true, value: undefined };
      return new Promise((resolve, reject) => {
        readers.push({ resolve, reject });
      });
    },
    async return() {
      waiting.length = 0;
      end();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
