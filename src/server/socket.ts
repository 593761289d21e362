import type { WebSocket } from 'ws';
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

/** A device's WebSocket, with a bounded queue of what it has not read yet. */
export class DeviceSocket {
  readonly #socket: WebSocket;
  readonly #leaveAddress: () => void;
  #viewer: Viewer | undefined;
  #leaveUser: (() => void) | undefined;
  /** Whether it has answered the last ping. */
  #alive = true;
  #onRoom: (() => void) | undefined;

  /** `leaveAddress` counts it out of those of its address that have not signed in. */
  constructor(socket: WebSocket, leaveAddress: () => void) {
    this.#socket = socket;
    this.#leaveAddress = leaveAddress;
    socket.on('pong', () => {
      this.#alive = true;
    });
  }

  get viewer(): Viewer | undefined {
    return this.#viewer;
  }

  /** `leaveUser` counts it out of those of its user. */
  signIn(viewer: Viewer, leaveUser: () => void): void {
    this.#viewer = viewer;
    this.#leaveUser = leaveUser;
    this.#leaveAddress();
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  send(data: string): void {
    if (!this.isOpen) return;
    this.#socket.send(data, this.#afterSend);
    if (this.#socket.bufferedAmount > QUEUE_BYTES) this.close(TRY_AGAIN_LATER, 'Read faster');
  }

  /** Resolves once most of what was sent has left; undefined when it has already. */
  room(): Promise<void> | undefined {
    if (!this.isOpen || this.#socket.bufferedAmount < REPLAY_BYTES) return undefined;
    return new Promise((resolve) => {
      const others = this.#onRoom;
      this.#onRoom = () => {
        others?.();
        resolve();
      };
    });
  }

  readonly #afterSend = (): void => {
    if (!this.#onRoom) return;
    if (this.isOpen && this.#socket.bufferedAmount >= REPLAY_BYTES) return;
    const tell = this.#onRoom;
    this.#onRoom = undefined;
    tell();
  };

  /** Pings it, or gives it up if it has not answered the last one. */
  ping(): void {
    if (!this.#alive) this.terminate();
    else if (this.isOpen) {
      this.#alive = false;
      this.#socket.ping();
    }
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** To be called once it is closed. */
  closed(): void {
    this.#leaveUser?.();
    this.#onRoom?.();
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
    this.#socket.send(`${this.#prefix}${json}}`);
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
