import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';

/*
 * Clients that mean harm, or that are just slow, in a process of their own: what they cost is theirs, and
 * who measures beside them is not held up. `hostile.ts` starts it and says what to do.
 */

export interface Order {
  readonly attack: AttackName | 'release';
  readonly url: string;
  readonly count: number;
  /** Of users of their own. */
  readonly tokens: readonly string[];
}

/** How the connections of one attack went. */
export type Tally = Readonly<Record<string, number>>;

const EVENTS = `subscription { chatEvents { __typename
  ... on MessageChanged { message { id message response status } } } }`;

/** Whatever is held open until `release`. */
const held = new Set<() => void>();
let address = 0;

const wsUrl = (url: string) => `${url.replace('http', 'ws')}/graphql`;
/** One that nobody else comes from. */
const newAddress = () => {
  address += 1;
  return `10.${(address >> 16) & 255}.${(address >> 8) & 255}.${address & 255}`;
};
const tokenOf = ({ tokens }: Order, i: number) => tokens[i % tokens.length] as string;

/** A plain TCP connection, which never ends by itself and reads nothing. */
async function open({ url }: Order): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
  socket.on('error', () => {});
  held.add(() => socket.destroy());
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {});
  return socket;
}

/** Writes a little now and then, for as long as it may. */
function trickle(socket: Socket, text: string): void {
  const timer = setInterval(() => socket.write(text), 200);
  const stop = () => clearInterval(timer);
  socket.once('close', stop);
  held.add(stop);
}

const head = (lines: readonly string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const post = (token: string, body: string, accept = 'application/json') =>
  head([
    'POST /graphql HTTP/1.1',
    'host: x',
    `accept: ${accept}`,
    'content-type: application/json',
    `authorization: Bearer ${token}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ]) + body;

interface Device {
  readonly socket: WebSocket;
  /** Why it was ended: `429`, `1013`, …; undefined while it is open. */
  ended: string | undefined;
}

/** A WebSocket, as far as it gets: open, and with a token also acknowledged. */
async function device(order: Order, from: string, token?: string): Promise<Device> {
  const socket = new WebSocket(wsUrl(order.url), 'graphql-transport-ws', {
    headers: { 'x-forwarded-for': from },
  });
  const found: Device = { socket, ended: undefined };
  held.add(() => socket.terminate());
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => {
    socket.once('unexpected-response', (_, response) => {
      found.ended = String(response.statusCode);
      response.destroy();
      resolve();
    });
    socket.once('close', (code) => {
      found.ended ??= String(code);
      resolve();
    });
  });
  const said = (type: string) => new Promise<void>((resolve) => socket.once(type, () => resolve()));
  await Promise.race([said('open'), closed]);
  if (token && !found.ended) {
    say(found, { type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
    await Promise.race([said('message'), closed]);
  }
  return found;
}

const say = ({ socket }: Device, message: object) => socket.send(JSON.stringify(message));
const subscribe = (id = '1') => ({ id, type: 'subscribe', payload: { query: EVENTS } });

/** One that has subscribed and been told that it is up to date. */
async function subscribedDevice(order: Order, i: number): Promise<Device> {
  const found = await device(order, newAddress(), tokenOf(order, i));
  if (found.ended) return found;
  const told = once(found.socket, 'message').catch(() => {});
  say(found, subscribe());
  await Promise.race([told, once(found.socket, 'close')]);
  return found;
}

async function subscribedStream(order: Order, i: number): Promise<Socket> {
  const socket = await open(order);
  socket.write(post(tokenOf(order, i), JSON.stringify({ query: EVENTS }), 'text/event-stream'));
  await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  return socket;
}

/** So many at a time: what is meant to be many connections must not be one long queue. */
async function many<T>(count: number, make: (i: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  for (let i = 0; i < count; i += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - i) }, (_, n) => make(i + n));
    made.push(...(await Promise.all(batch)));
    await sleep(10);
  }
  return made;
}
const BATCH = 50;

function tally(devices: readonly Device[]): Tally {
  const counts: Record<string, number> = {};
  for (const { ended = 'open' } of devices) counts[ended] = (counts[ended] ?? 0) + 1;
  return counts;
}

const PAGE = JSON.stringify({ query: '{ chatHistory(first: 100) { nodes { id message } } }' });

const SMALL = JSON.stringify({ query: '{ viewer { id } }' });

const ATTACKS = {
  /** Connections that never say a word. */
  async silent(order: Order): Promise<Tally> {
    return { tried: (await many(order.count, () => open(order))).length };
  },
  /** Heads that come a line at a time. */
  async slowHeads(order: Order): Promise<Tally> {
    for (const socket of await many(order.count, () => open(order))) {
      socket.write('POST /graphql HTTP/1.1\r\nhost: x\r\n');
      trickle(socket, 'x-more: 1\r\n');
    }
    return { tried: order.count };
  },
  /** Bodies that come a byte at a time. */
  async slowBodies(order: Order): Promise<Tally> {
    const sockets = await many(order.count, () => open(order));
    for (const [i, socket] of sockets.entries()) {
      socket.write(post(tokenOf(order, i), ' '.repeat(900_000)).slice(0, 400));
      trickle(socket, ' ');
    }
    return { tried: order.count };
  },
  /** Whose own side is ended at once, and who read nothing of the answer. */
  async halfOpen(order: Order): Promise<Tally> {
    const sockets = await many(order.count, (i) =>
      i % 2 ? open(order) : subscribedStream(order, i),
    );
    for (const [i, socket] of sockets.entries()) {
      socket.pause();
      if (i % 2) socket.write(post(tokenOf(order, i), SMALL));
      socket.end();
    }
    return { tried: order.count };
  },
  /** Large pages, one after the other, of which nobody reads more than the beginning. */
  async unread(order: Order): Promise<Tally> {
    for (const [i, socket] of (await many(order.count, () => open(order))).entries()) {
      socket.write(post(order.tokens[i % 4] as string, PAGE));
      await Promise.race([once(socket, 'data'), once(socket, 'close')]);
      socket.pause();
    }
    return { tried: order.count };
  },
  /** The same pages for who reads them. */
  async reads(order: Order): Promise<Tally> {
    for (let i = 0; i < order.count; i += 1) {
      const response = await fetch(`${order.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          // A compressed one would be small, and come from the cache.
          'accept-encoding': 'identity',
          authorization: `Bearer ${order.tokens[i % 4]}`,
        },
        body: PAGE,
      });
      await response.arrayBuffer();
    }
    return { tried: order.count };
  },
  /** Devices that stop reading. */
  async pausedSockets(order: Order): Promise<Tally> {
    const devices = await many(order.count, (i) => subscribedDevice(order, i));
    for (const { socket, ended } of devices) if (!ended) socket.pause();
    return { tried: order.count, ...tally(devices) };
  },
  async pausedStreams(order: Order): Promise<Tally> {
    for (const socket of await many(order.count, (i) => subscribedStream(order, i))) socket.pause();
    return { tried: order.count };
  },
  /** Long messages, one after the other, for devices that do not read them. */
  async writes(order: Order): Promise<Tally> {
    const input = { message: '漢'.repeat(20_000), awaitReply: false };
    const query = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }`;
    const tally = { tried: order.count, sent: 0 };
    for (let i = 0; i < order.count; i += 1) {
      const response = await fetch(`${order.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${tokenOf(order, i)}`,
        },
        body: JSON.stringify({ query, variables: { input } }),
      });
      const { data } = (await response.json()) as { data?: object };
      if (data) tally.sent += 1;
    }
    return tally;
  },
  /** WebSockets from everywhere that do not begin. */
  async noInit(order: Order): Promise<Tally> {
    const devices = await many(order.count, () => device(order, newAddress()));
    return { tried: order.count, ...tally(devices) };
  },
  async oneAddress(order: Order): Promise<Tally> {
    const from = newAddress();
    const devices = await many(order.count, () => device(order, from));
    return { tried: order.count, ...tally(devices) };
  },
  async oneUser(order: Order): Promise<Tally> {
    const devices = await many(order.count, () => device(order, newAddress(), tokenOf(order, 0)));
    await sleep(100);
    return { tried: order.count, ...tally(devices) };
  },
  /** As many subscriptions on one socket as it likes. */
  async subscribes(order: Order): Promise<Tally> {
    const found = await device(order, newAddress(), tokenOf(order, 1));
    const counts = { tried: order.count, running: 0, refused: 0 };
    const answered = new Promise<void>((resolve) => {
      found.socket.on('message', (data) => {
        const { type } = JSON.parse(String(data));
        if (type === 'error') counts.refused += 1;
        if (type === 'next') counts.running += 1;
        if (counts.refused + counts.running === order.count) resolve();
      });
      found.socket.once('close', () => resolve());
    });
    for (let i = 0; i < order.count; i += 1) {
      say(found, subscribe(`${i}`));
      if (i % 100 === 99) await sleep(5);
    }
    await answered;
    return counts;
  },
  /** Pings whose answers nobody reads, in frames and in the protocol's own messages. */
  async pings(order: Order): Promise<Tally> {
    const devices = await many(4, (i) => subscribedDevice(order, i));
    for (const { socket, ended } of devices) if (!ended) socket.pause();
    for (let i = 0; i < order.count; i += 1) {
      const { socket } = devices[i % devices.length] as Device;
      if (socket.readyState !== WebSocket.OPEN) continue;
      if (i % 8 < 4) socket.ping(Buffer.alloc(125));
      else socket.send(JSON.stringify({ type: 'ping', payload: { text: 'x'.repeat(1_000) } }));
      if (i % 100 === 99) await sleep(5);
    }
    return { tried: order.count };
  },
  /** Messages in a great many pieces, and ones that are, or say they are, too large. */
  async frames(order: Order): Promise<Tally> {
    const devices = await many(order.count, (i) => device(order, newAddress(), tokenOf(order, i)));
    const ends = devices.map(({ socket, ended }) => ended ?? once(socket, 'close'));
    for (const [i, { socket, ended }] of devices.entries()) {
      if (ended) continue;
      if (i % 3 === 0) socket.send('x'.repeat(2 * 1024 * 1024));
      if (i % 3 === 1) {
        for (let n = 0; n < 20_000 && socket.readyState === WebSocket.OPEN; n += 1) {
          socket.send('', { fin: false });
          if (n % 1_000 === 999) await sleep(1);
        }
      }
      // A frame of 2^40 bytes, of which none comes.
      if (i % 3 === 2) rawOf(socket).write(Buffer.from('81ff0000010000000000abcdef01', 'hex'));
    }
    await Promise.race([Promise.all(ends), sleep(5_000)]);
    return { tried: order.count, ...tally(devices) };
  },
  /** Subscriptions that begin, and are gone in one of many ways. */
  async churn(order: Order): Promise<Tally> {
    await many(order.count, async (i) => {
      const way = WAYS[i % WAYS.length] as (order: Order, i: number) => Promise<void>;
      await way(order, i);
    });
    return { tried: order.count };
  },
};

export type AttackName = keyof typeof ATTACKS;

const rawOf = (socket: WebSocket) => (socket as unknown as { _socket: Socket })._socket;

const WAYS: readonly ((order: Order, i: number) => Promise<void>)[] = [
  // In order.
  async (order, i) => (await subscribedDevice(order, i)).socket.close(1000),
  // A FIN in the middle.
  async (order, i) => void rawOf((await subscribedDevice(order, i)).socket)?.end(),
  // A reset.
  async (order, i) => void rawOf((await subscribedDevice(order, i)).socket)?.resetAndDestroy(),
  // A FIN of one that reads nothing more.
  async (order, i) => {
    const { socket } = await subscribedDevice(order, i);
    socket.pause();
    rawOf(socket)?.end();
  },
  // The protocol's own end; the socket stays.
  async (order, i) => say(await subscribedDevice(order, i), { id: '1', type: 'complete' }),
  // A fault of protocol, upon which the server closes.
  async (order, i) => (await subscribedDevice(order, i)).socket.send('{'),
  // One that answers to nothing any more: a phone in a tunnel.
  async (order, i) => {
    const { socket } = await subscribedDevice(order, i);
    if (socket.readyState === WebSocket.OPEN) socket.pause();
  },
  // The same over HTTP.
  async (order, i) => void (await subscribedStream(order, i)).end(),
  async (order, i) => void (await subscribedStream(order, i)).destroy(),
  async (order, i) => void (await subscribedStream(order, i)).resetAndDestroy(),
  // Gone before its subscription began.
  async (order, i) => {
    const found = await device(order, newAddress(), tokenOf(order, i));
    if (!found.ended) say(found, subscribe());
    found.socket.terminate();
  },
  async (order, i) => {
    const socket = await open(order);
    socket.write(post(tokenOf(order, i), JSON.stringify({ query: EVENTS }), 'text/event-stream'));
    socket.destroy();
  },
];

async function obey(order: Order): Promise<Tally> {
  if (order.attack !== 'release') return ATTACKS[order.attack](order);
  for (const letGo of held) letGo();
  held.clear();
  return {};
}

process.on('message', async ({ id, order }: { id: number; order: Order }) => {
  try {
    process.send?.({ id, tally: await obey(order) });
  } catch (error) {
    process.send?.({ id, error: String((error as Error).stack) });
  }
});
