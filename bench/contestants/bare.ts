import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { WebSocket, WebSocketServer } from 'ws';
import { runContestant } from '../kit/contestant.ts';
import { channelOf, REPLAY_KEY } from '../kit/wire.ts';

/**
 * The floor: sends to a user's sockets what Redis says, as it is. No token, no GraphQL, no PostgreSQL, no
 * pings; who a socket belongs to stands in its URL.
 */
runContestant(async ({ redisUrl }) => {
  const byChannel = new Map<string, Set<WebSocket>>();
  const subscriber = new Redis(redisUrl);
  const client = new Redis(redisUrl);
  let frames: readonly string[] | undefined;

  subscriber.on('message', (channel: string, text: string) => {
    for (const socket of byChannel.get(channel) ?? []) socket.send(text);
  });

  async function replay(socket: WebSocket, count: number): Promise<void> {
    frames ??= await client.lrange(REPLAY_KEY, 0, -1);
    for (const frame of frames.slice(-count)) socket.send(frame);
    socket.send('{"type":"CaughtUp"}');
  }

  const server = createServer();
  const acceptor = new WebSocketServer({
    server,
    perMessageDeflate: false,
    clientTracking: false,
  });
  acceptor.on('connection', async (socket, { url = '' }) => {
    const channel = channelOf(url.slice(url.indexOf('=') + 1));
    socket.on('message', (data) => replay(socket, Number(data)));
    socket.on('close', () => {
      const left = byChannel.get(channel);
      left?.delete(socket);
      if (left?.size === 0 && byChannel.delete(channel)) subscriber.unsubscribe(channel);
    });
    const sockets = byChannel.get(channel);
    if (sockets) sockets.add(socket);
    else {
      byChannel.set(channel, new Set([socket]));
      await subscriber.subscribe(channel);
    }
    if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"CaughtUp"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/?user=`;
});
