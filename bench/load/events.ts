import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pLimit from 'p-limit';
import postgres from 'postgres';
import WebSocket from 'ws';
import { encodeChangeCursor } from '../../src/resolvers/cursor.ts';
import { serve } from '../kit/remote.ts';
import {
  type ChatEvent,
  channelOf,
  EVENTS,
  frameOf,
  markedText,
  markIn,
  SUBSCRIPTION_ID,
} from '../kit/wire.ts';
import {
  bytesBesideTexts,
  newUser,
  storeChange,
  storeReplay,
  storeUsers,
  type User,
} from './users.ts';
import { createWindow, type OpenWindow, type Window } from './window.ts';

/** Which server is at the other end: what it is told over Redis, and how a device comes in, differ. */
export type Contender = 'bare' | 'chatkeep' | 'ordinary';

/** A piece of a reply that is being written, or a stored change of the history. */
export type EventKind = 'delta' | 'change';

/** Some users, by their place in the list. */
interface Range {
  readonly from: number;
  readonly users: number;
}

export interface EventsLoad {
  /** Stores users, each with a message and with a reply that is being written. */
  prepare(given: {
    as: Contender;
    redisUrl: string;
    ownerUrl: string;
    jwtSecret: string;
    users: number;
    replayed: number;
  }): Promise<void>;
  /** Names the server's address. */
  meet(url: string): void;
  /** Opens sockets, signed in and subscribed, and waits until all of them hear. */
  open(given: Range & { devices: number }): Promise<void>;
  close(given: Range): Promise<void>;
  /** @throws when a device gets other bytes than the bare server would send */
  compare(): Promise<{ delta: number; change: number }>;
  /** At a fixed rate, whatever comes back; one user after the other. */
  stream(given: Range & { kind: EventKind; rate: number; seconds: number }): Promise<Window>;
  /** To one user, each event when all devices have the last one. */
  broadcast(given: { kind: EventKind; user: number; times: number }): Promise<Window>;
  /** Sends messages, each with a short reply of the offline companion, as so many users at a time. */
  send(given: { times: number; atATime: number }): Promise<void>;
  /** Reads so many pages of 50 messages, from the newest on: pages nobody has asked for, or the same. */
  read(given: { pages: number; again: boolean }): Promise<void>;
  /** Bytes of a message on disk beside its texts. */
  storage(): Promise<number>;
  /** How long a device that missed so many changes takes to have them, in ms. */
  replay(given: { missed: number; times: number }): Promise<readonly number[]>;
}

const DELTA_LENGTH = 32;
const OPENING_AT_A_TIME = 50;

let users: User[] = [];
let replayUser: User;
let sql: postgres.Sql;
let redis: Redis;
let as: Contender;
let wsUrl: string;

/** A filter that lets everything through, and makes other pages of the same rows. */
let yearAsked = 1900;
let current: OpenWindow | undefined;
let onFrame: ((frame: string) => void) | undefined;

async function inWindow(run: (window: OpenWindow) => Promise<void>): Promise<Window> {
  const window = createWindow();
  current = window;
  await run(window);
  await window.all();
  current = undefined;
  return window.result();
}

function receive(data: Buffer): void {
  if (onFrame) onFrame(data.toString());
  current?.received(markIn(data));
}

function publish({ id }: User, event: ChatEvent, hint: object): Promise<unknown> {
  const payload = {
    bare: () => frameOf(event),
    ordinary: () => JSON.stringify(event),
    chatkeep: () => JSON.stringify({ from: 'bench', hint }),
  }[as]();
  return redis.publish(channelOf(id), payload);
}

/** Publishes one event, the change after it was stored; answers it as the devices should get it. */
async function fire(window: OpenWindow, user: User, kind: EventKind): Promise<ChatEvent> {
  const n = window.next();
  const { length: devices } = user.sockets;
  if (kind === 'delta') {
    const { replyId: messageId, run, offset } = user;
    const text = markedText(n, DELTA_LENGTH);
    user.offset += text.length;
    const event = { __typename: 'ReplyDelta', messageId, offset, text } as const;
    window.sent(n, devices);
    publish(user, event, { kind: 'text', messageId, run, offset, text });
    return event;
  }
  // Stored for every contestant alike, so that all share the machine with the same PostgreSQL.
  const { event, seq } = await storeChange(sql, user, n);
  window.sent(n, devices);
  publish(user, event, { kind: 'changed', seq });
  return event;
}

/** One GraphQL operation over HTTP, which has to succeed. */
async function ask<T>({ token }: User, query: string, variables: object): Promise<T> {
  const response = await fetch(wsUrl.replace('ws', 'http'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: T; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

const SEND =
  'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }';
const HISTORY = `query ($after: String, $filter: ChatFilter) {
  chatHistory(first: 50, after: $after, filter: $filter) {
    nodes { id message response status mood createdAt }
    pageInfo { hasNextPage endCursor }
  }
}`;

interface History {
  readonly chatHistory: { readonly pageInfo: { readonly endCursor: string } };
}

/** A socket that has signed in; over GraphQL it has not subscribed yet, the bare server's has. */
async function connect(user: User): Promise<WebSocket> {
  const options = { perMessageDeflate: false, skipUTF8Validation: true };
  const socket =
    as === 'bare'
      ? new WebSocket(`${wsUrl}${user.id}`, options)
      : new WebSocket(wsUrl, 'graphql-transport-ws', options);
  socket.on('error', (error) => {
    throw error;
  });
  const welcome = once(socket, 'message');
  await once(socket, 'open');
  const payload = { authorization: `Bearer ${user.token}` };
  if (as !== 'bare') socket.send(JSON.stringify({ type: 'connection_init', payload }));
  await welcome;
  return socket;
}

function subscribe(socket: WebSocket, id: string, variables?: object): void {
  const payload = { query: EVENTS, ...(variables && { variables }) };
  socket.send(JSON.stringify({ id, type: 'subscribe', payload }));
}

async function openDevice(user: User): Promise<void> {
  const socket = await connect(user);
  if (as !== 'bare') {
    subscribe(socket, SUBSCRIPTION_ID);
    const [data] = await once(socket, 'message');
    if (!String(data).includes('CaughtUp')) throw new Error(`${as} answered ${data}`);
  }
  socket.on('message', receive);
  user.sockets.push(socket);
}

serve<EventsLoad>({
  async prepare({ redisUrl, ownerUrl, jwtSecret, users: count, replayed, ...given }) {
    as = given.as;
    redis = new Redis(redisUrl);
    sql = postgres(ownerUrl, { max: 4, onnotice: () => {} });
    users = await Promise.all(Array.from({ length: count }, () => newUser(jwtSecret)));
    await storeUsers(sql, users);
    replayUser = await newUser(jwtSecret);
    await storeReplay(sql, redis, replayUser, replayed);
    await sql`vacuum analyze`;
  },

  meet(url) {
    wsUrl = url;
    for (const socket of users.flatMap((user) => user.sockets.splice(0))) socket.terminate();
    for (const user of users) user.offset = 0;
  },

  async open({ from, users: count, devices }) {
    const opening = pLimit(OPENING_AT_A_TIME);
    const all = users.slice(from, from + count).flatMap((user) => Array(devices).fill(user));
    await Promise.all(all.map((user: User) => opening(() => openDevice(user))));
  },

  async close({ from, users: count }) {
    const closing = users.slice(from, from + count).flatMap((user) => {
      user.offset = 0;
      return user.sockets.splice(0);
    });
    await Promise.all(
      closing.map((socket) => {
        socket.close();
        return once(socket, 'close');
      }),
    );
  },

  async compare() {
    const lengths = { delta: 0, change: 0 };
    const [user] = users as [User];
    for (const kind of ['delta', 'change'] as const) {
      const frames: string[] = [];
      onFrame = (frame) => frames.push(frame);
      await inWindow(async (window) => {
        const frame = frameOf(await fire(window, user, kind));
        await window.all();
        lengths[kind] = frame.length;
        const other = frames.find((text) => text !== frame);
        if (other || frames.length !== user.sockets.length) {
          throw new Error(`${as} sent\n${other}\ninstead of\n${frame}`);
        }
      });
    }
    onFrame = undefined;
    return lengths;
  },

  stream: ({ from, users: count, kind, rate, seconds }) =>
    inWindow(async (window) => {
      const total = Math.round(rate * seconds);
      const firing: Promise<unknown>[] = [];
      const began = performance.now();
      while (firing.length < total) {
        const due = ((performance.now() - began) * rate) / 1000;
        while (firing.length < Math.min(due, total)) {
          const user = users[from + (firing.length % count)] as User;
          firing.push(fire(window, user, kind));
        }
        await sleep(1);
      }
      await Promise.all(firing);
    }),

  broadcast: ({ kind, user, times }) =>
    inWindow(async (window) => {
      for (let i = 0; i < times; i += 1) {
        await fire(window, users[user] as User, kind);
        await window.all();
      }
    }),

  async send({ times, atATime }) {
    const sending = pLimit(atATime);
    const input = { message: 'What a wonderful morning! Shall we plan the day?' };
    const each = (_: unknown, i: number) =>
      sending(() => ask(users[i % users.length] as User, SEND, { input }));
    await Promise.all(Array.from({ length: times }, each));
  },

  storage: () => bytesBesideTexts(sql),

  async read({ pages, again }) {
    if (!again) yearAsked += 1;
    const filter = { from: new Date(Date.UTC(yearAsked, 0)) };
    let after: string | undefined;
    for (let i = 0; i < pages; i += 1) {
      const { chatHistory } = await ask<History>(replayUser, HISTORY, { after, filter });
      after = chatHistory.pageInfo.endCursor;
    }
  },

  async replay({ missed, times }) {
    const user = replayUser;
    const socket = await connect(user);
    const after = encodeChangeCursor(user.id, BigInt(user.run) - BigInt(missed));
    const durations: number[] = [];
    for (let i = 0; i < times; i += 1) {
      let frames = 0;
      const began = performance.now();
      const caughtUp = new Promise<void>((resolve) => {
        socket.removeAllListeners('message').on('message', (data: Buffer) => {
          if (data.length < 300 && data.includes('CaughtUp')) resolve();
          else frames += 1;
        });
      });
      const id = randomUUID();
      if (as === 'bare') socket.send(String(missed));
      else subscribe(socket, id, { after });
      await caughtUp;
      durations.push(performance.now() - began);
      if (frames !== missed) throw new Error(`${as} replayed ${frames} changes, not ${missed}`);
      if (as !== 'bare') socket.send(JSON.stringify({ id, type: 'complete' }));
    }
    socket.close();
    await once(socket, 'close');
    return durations;
  },
});
