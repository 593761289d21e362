import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import postgres from 'postgres';
import { runContestant } from '../kit/contestant.ts';

/**
 * The rows of a page straight from the table, as its owner: no row level security, no GraphQL, no token, no
 * cache. The same driver and as many connections as the product has.
 */
runContestant(async ({ database }) => {
  const sql = postgres(database.ownerUrl, { max: 10, fetch_types: false, onnotice: () => {} });
  const server = createServer(async (request, response) => {
    request.resume();
    const nodes = await sql`
      select id, message, response, status, created_at as "createdAt" from chat_history
      where user_id = ${request.headers['x-user'] as string}
      order by created_at desc, id desc limit 51`;
    const body = Buffer.from(
      JSON.stringify({ data: { chatHistory: { nodes: nodes.slice(0, 50) } } }),
    );
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': body.length,
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
});
