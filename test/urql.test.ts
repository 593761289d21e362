import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type Any, HISTORY, SEND, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

it('serves a urql client: mutations and queries over HTTP, subscriptions over WebSocket', async () => {
  const { token } = await signIn(server);
  const authorization = `Bearer ${token}`;
  const ws = createClient({
    url: `${server.wsUrl}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: () => ({ authorization }),
  });
  const client = new Client({
    url: `${server.url}/graphql`,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization } },
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: ws.subscribe(
              { query: query ?? '', variables: variables ?? {} },
              sink as never,
            ),
          }),
        }),
      }),
    ],
  });

  const arrived = new Promise<Any>((resolve) => {
    const { unsubscribe } = client
      .subscription('subscription { messageAdded { id message status } }', {})
      .subscribe(({ data }) => {
        unsubscribe();
        resolve(data.messageAdded);
      });
  });
  await expect
    .poll(async () => /subscriptions 1/.test(await (await fetch(`${server.url}/metrics`)).text()))
    .toBe(true);
  const sent = await client.mutation(SEND, { input: { message: 'from urql' } });
  expect(sent.error).toBeUndefined();
  const { id } = sent.data.sendMessage.message;
  expect(await arrived).toEqual({ id, message: 'from urql', status: 'COMPLETE' });
  const { data } = await client.query(HISTORY, {});
  expect(data.chatHistory.nodes[0].id).toBe(id);
  await ws.dispose();
});
