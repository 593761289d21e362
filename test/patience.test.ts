import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPatience } from '../src/patience.ts';

const MS = 60;

let far: Socket;
let near: Socket;
const server = createServer((socket) => {
  far = socket;
});

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connected = once(server, 'connection');
  near = connect((server.address() as { port: number }).port, '127.0.0.1');
  await Promise.all([connected, once(near, 'connect')]);
});
afterAll(() => {
  near.destroy();
  server.close();
});

function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** The next byte that comes over the socket. */
const heard = (): Promise<Buffer> => once(near, 'data').then(([data]) => data);

it('answers as it is answered', async () => {
  const inTime = createPatience(MS);
  expect(await inTime(Promise.resolve('yes'))).toBe('yes');
  await expect(inTime(Promise.reject(new Error('no')))).rejects.toThrow('no');
});

it('gives up what is not answered, each for itself', async () => {
  const inTime = createPatience(MS);
  const never = new Promise<never>(() => {});
  for (let i = 0; i < 2; i += 1) {
    await expect(inTime(never)).rejects.toThrow('It did not answer in time.');
  }
  const first = inTime(never).catch(() => 'first');
  await new Promise((resolve) => setTimeout(resolve, MS / 2));
  const second = inTime(never).catch(() => 'second');
  expect(await Promise.race([second, first])).toBe('first');
  expect(await second).toBe('second');
});

it('takes what is there for there, however late this process comes to read it', async () => {
  const inTime = createPatience(MS);
  // From here timers have their turn before sockets.
  await turn();
  const answer = inTime(heard());
  far.write('1');
  work(1.3 * MS);
  expect(String(await answer)).toBe('1');
});

it('goes on waiting while this process has much else to do in each turn', async () => {
  const inTime = createPatience(MS);
  await turn();
  const answer = inTime(heard());
  for (let i = 0; i < 2; i += 1) {
    work(2 * MS);
    await turn();
  }
  far.write('1');
  work(2 * MS);
  expect(String(await answer)).toBe('1');
});
