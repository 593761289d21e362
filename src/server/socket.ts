import { WebSocket } from 'ws';
import type { Sink } from '../services/queue.ts';
import type { Viewer } from '../services/tokens.ts';
import type { ErrorMask } from './errors.ts';
import type { Subscription } from './subscriptions.ts';

/** https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number */
export const GOING_AWAY = 1001;
export const TRY_AGAIN_LATER = 1013;

/** So many bytes wait for a client that does not read, then its socket is closed. */
const QUEUE_BYTES = 1024 * 1024;
/** A replay waits while so many are under way. */
const REPLAY_BYTES = 256 * 1024;

/**
 * A device's WebSocket, with a bounded queue of what it has not read yet. There are thousands, most of
 * them idle: it is the one object that graphql-ws, the limits and the subscriptions know it by.
 */
export class DeviceSocket extends WebSocket {
  #viewer: Viewer | undefined;
  #leave: (() => void) | undefined;
  #hasAnswered = true;

  /** Whom its token speaks for. */
  get viewer(): Viewer | undefined {
    return this.#viewer;
  }

  get isOpen(): boolean {
    return this.readyState === WebSocket.OPEN;
  }

  /** Counts it in somewhere, and out of where it was counted before. `leave` is the way out again. */
  enter(leave: () => void, viewer?: Viewer): void {
    this.leave();
    this.#leave = leave;
    this.#viewer = viewer;
  }

  leave(): void {
    this.#leave?.();
  }

  /** Queues a message; closes the socket when too much is queued already. */
  push(message: string): void {
    if (!this.isOpen) return;
    this.send(message);
    if (this.bufferedAmount > QUEUE_BYTES) this.close(TRY_AGAIN_LATER, 'Read faster');
  }

  /** Resolves once what was pushed has left; undefined when there is not much of it. */
  room(): Promise<void> | undefined {
    if (!this.isOpen || this.bufferedAmount < REPLAY_BYTES) return undefined;
    // A ping leaves after all that was sent before it.
    return new Promise((resolve) => this.ping('', false, () => resolve()));
  }

  /** Pings it, or gives it up if it has not answered the last time, or did not get to its end since. */
  check(): void {
    if (!this.#hasAnswered) this.terminate();
    this.#hasAnswered = false;
    if (this.isOpen) this.ping();
  }

  /** To be called on a pong. */
  answered(): void {
    this.#hasAnswered = true;
  }
}

type End = { resolve: (result: IteratorResult<never>) => void; reject: (error: unknown) => void };

const DONE = { done: true, value: undefined } as const;

/**
 * A subscription whose events go to the socket as they come. To graphql-ws it is an iterator that gives
 * nothing until it is done: what graphql-ws would do for each event and device is the serialising.
 */
export class PushedSubscription implements Sink<object>, AsyncIterableIterator<never> {
  readonly #socket: DeviceSocket;
  readonly #prefix: string;
  readonly #subscription: Subscription;
  readonly #maskError: ErrorMask;
  /** The event that is still being made, with all before it: the next one waits for it. */
  #pending: Promise<void> | undefined;
  #ended = false;
  #failure: unknown;
  #waiting: End | undefined;

  constructor(socket: DeviceSocket, id: string, subscription: Subscription, maskError: ErrorMask) {
    this.#socket = socket;
    this.#prefix = `{"id":${JSON.stringify(id)},"type":"next","payload":`;
    this.#subscription = subscription;
    this.#maskError = maskError;
    subscription.events.pipe(this);
  }

  push(event: object): void {
    const json = this.#subscription.render(event);
    if (typeof json === 'string' && !this.#pending) this.#send(json);
    else this.#sendInTurn(json);
  }

  #send(json: string): void {
    this.#socket.push(`${this.#prefix}${json}}`);
    if (!this.#socket.isOpen) this.#subscription.events.end();
  }

  #sendInTurn(json: string | Promise<string>): void {
    const turn = Promise.all([json, this.#pending])
      .then(([made]) => this.#send(made))
      .catch((error: unknown) => this.#subscription.events.end(error as Error))
      .finally(() => {
        if (this.#pending === turn) this.#pending = undefined;
      });
    this.#pending = turn;
  }

  room(): Promise<void> | undefined {
    return this.#pending ?? this.#socket.room();
  }

  end(error?: Error): void {
    this.#ended = true;
    this.#failure = error && this.#maskError(error);
    const waiting = this.#waiting;
    if (!waiting) return;
    if (this.#failure) waiting.reject(this.#failure);
    else waiting.resolve(DONE);
  }

  async next(): Promise<IteratorResult<never>> {
    if (this.#failure) throw this.#failure;
    if (this.#ended) return DONE;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  async return(): Promise<IteratorResult<never>> {
    await this.#subscription.events.return();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
