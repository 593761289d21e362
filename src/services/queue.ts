import { at } from '../timers.ts';

/** Where values go that nobody has asked for yet. */
export interface Sink<T> {
  push(value: T): void;
  /** Nothing more comes; with the reason, if it was a failure. */
  end(error?: Error): void;
  /** Resolves once there is room for more; undefined when there is now. */
  room(): Promise<void> | undefined;
}

interface QueueOptions {
  /** So many values wait; one more ends the queue with `tooSlow()`. */
  readonly limit: number;
  readonly tooSlow: () => Error;
  /** The queue ends then by itself, if it is iterated over. */
  readonly until: Date;
  /** Called once, however the queue ends. */
  readonly onEnd: () => void;
}

interface Reader<T> {
  readonly resolve: (result: IteratorResult<T>) => void;
  readonly reject: (error: Error) => void;
}

const DONE = { done: true, value: undefined } as const;

/**
 * A bounded queue that one reader iterates over, or that is piped into a sink of the reader's own. Not
 * an async generator: that cannot be returned from while it waits, and a subscriber that went away
 * would stay for ever (measured: 0 of 10 cleaned up).
 */
export class Queue<T> implements AsyncIterableIterator<T>, Sink<T> {
  readonly #options: QueueOptions;
  #callOff: (() => void) | undefined;
  #waiting: T[] = [];
  #readers: Reader<T>[] = [];
  #roomMade: (() => void) | undefined;
  #sink: Sink<T> | undefined;
  #ended = false;
  #failure: Error | undefined;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get ended(): boolean {
    return this.#ended;
  }

  push(value: T): void {
    if (this.#ended) return;
    if (this.#sink) {
      this.#sink.push(value);
      return;
    }
    const reader = this.#readers.shift();
    if (reader) reader.resolve({ done: false, value });
    else if (this.#waiting.length < this.#options.limit) this.#waiting.push(value);
    else this.end(this.#options.tooSlow());
  }

  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = error;
    this.#callOff?.();
    if (error) this.#waiting = [];
    for (const reader of this.#readers.splice(0)) {
      if (error) reader.reject(error);
      else reader.resolve(DONE);
    }
    this.#roomMade?.();
    this.#sink?.end(error);
    this.#options.onEnd();
  }

  room(): Promise<void> | undefined {
    if (this.#ended) return undefined;
    if (this.#sink) return this.#sink.room();
    if (this.#waiting.length < this.#options.limit / 2) return undefined;
    return new Promise((resolve) => {
      this.#roomMade = resolve;
    });
  }

  /** From now on values go to the sink at once, those that wait first. */
  pipe(sink: Sink<T>): void {
    this.#sink = sink;
    for (const value of this.#waiting.splice(0)) sink.push(value);
    this.#roomMade?.();
    if (this.#ended) sink.end(this.#failure);
  }

  async next(): Promise<IteratorResult<T>> {
    if (!this.#ended) this.#callOff ??= at(this.#options.until, () => this.end());
    if (this.#waiting.length > 0) {
      const value = this.#waiting.shift() as T;
      if (this.#waiting.length < this.#options.limit / 2) this.#roomMade?.();
      return { done: false, value };
    }
    if (this.#failure) {
      const error = this.#failure;
      this.#failure = undefined;
      throw error;
    }
    if (this.#ended) return DONE;
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
    });
  }

  async return(): Promise<IteratorResult<T>> {
    this.#waiting = [];
    this.end();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
