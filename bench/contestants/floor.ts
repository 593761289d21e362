import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { runContestant } from '../kit/contestant.ts';
import { FLOOR_KEY } from '../kit/http.ts';

/** Sends the bytes of a Redis key, which the request names. Knows nothing else. */
runContestant(async ({ redisUrl }) => {
  const redis = new Redis(redisUrl);
  const server = createServer(async (request, response) => {
    request.resume();
    const body = await redis.getBuffer(`${FLOOR_KEY}${request.headers['x-user']}`);
    response.writeHead(body ? 200 : 404, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': body?.length ?? 0,
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
});
