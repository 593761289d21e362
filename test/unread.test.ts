import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { endWith } from '../src/server/body.ts';
import { CONNECTION_LIMITS } from '../src/server/connections.ts';
import { createHttpServer, listen } from '../src/server/http.ts';

/** More than the kernel takes for a client that does not read. */
const BODY = Buffer.alloc(32 * 1024 * 1024);

const ways: readonly [string, (response: ServerResponse) => void][] = [
  ['in one go', (response) => response.end(BODY)],
  ['in pieces', (response) => endWith(response, BODY)],
];

it.each(ways)('gives up a page of the front that nobody reads, written %s', async (_, answer) => {
  const limits = { ...CONNECTION_LIMITS, stillMs: 300 };
  const hotPath = {
    async serve(_request: unknown, response: ServerResponse) {
      response.writeHead(200, { 'content-length': BODY.length });
      answer(response);
      return true;
    },
  };
  // Nothing else is asked for.
  const server = createHttpServer({ hotPath, limits } as never);
  onTestFinished(() => void server.close());
  const { port } = await listen(server, 0, '127.0.0.1');
  const accepted = once(server, 'connection');
  const client = connect(port, '127.0.0.1');
  onTestFinished(() => void client.destroy());
  client.write('GET /graphql HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await once(client, 'data');
  client.pause();
  const [socket] = await accepted;
  await expect.poll(() => socket.destroyed, { timeout: 10_000 }).toBe(true);
});
