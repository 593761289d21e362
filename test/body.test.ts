import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { endWith } from '../src/server/body.ts';

/** A server that answers everything with that body; how far it is when others get their turn. */
async function serverOf(body: Buffer): Promise<{ url: string; seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': body.length });
    response.once('finish', () => seen.push('written'));
    endWith(response, body);
    setImmediate(() => seen.push('others'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

it('lets others have their turn while a long body is written', async () => {
  const body = Buffer.alloc(1024 * 1024, 'chatkeep ');
  const { url, seen } = await serverOf(body);
  const got = Buffer.from(await (await fetch(url)).arrayBuffer());
  expect(got.equals(body)).toBe(true);
  expect(seen).toEqual(['others', 'written']);
});

it.each([0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 128 * 1024])(
  'writes all %i bytes',
  async (length) => {
    const body = Buffer.alloc(length, 'chatkeep ');
    const { url } = await serverOf(body);
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(body)).toBe(true);
  },
);
