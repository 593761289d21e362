import WebSocket from 'ws';
import type { Any, GraphqlResult } from './client.ts';
import type { TestServer } from './server.ts';

export interface Operation {
  readonly query: string;
  readonly variables?: unknown;
  readonly operationName?: unknown;
  readonly extensions?: unknown;
}

/** Sends an operation and answers the first thing that comes back. */
type Ask = (
  at: Pick<TestServer, 'url' | 'wsUrl'>,
  operation: Operation,
  token?: string,
) => Promise<GraphqlResult<Any>>;

const overHttp: Ask = async ({ url }, operation, token) => {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      // The first event is the answer of a subscription.
      accept: /^\s*subscription/.test(operation.query) ? 'text/event-stream' : 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(operation),
  });
  if (response.status >= 500) throw new Error(`${response.status} ${await response.text()}`);
  if (!/event-stream/.test(response.headers.get('content-type') ?? ''))
    return (await response.json()) as GraphqlResult<Any>;
  let text = '';
  for await (const chunk of response.body as ReadableStream<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const data = /^data: (.+)\n/m.exec(text)?.[1];
    if (data) return JSON.parse(data);
  }
  throw new Error(`A stream without an event: ${text}`);
};

/** A socket of its own. What closes it is told as an error whose code is the socket's. */
const overWebSocket: Ask = ({ wsUrl }, operation, token) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`${wsUrl}/graphql`, 'graphql-transport-ws');
    const answer = (result: GraphqlResult<Any>) => {
      resolve(result);
      socket.terminate();
    };
    socket.on('error', reject);
    socket.on('close', (code, reason) => {
      answer({ errors: [{ message: String(reason), extensions: { code: String(code) } }] });
    });
    socket.on('open', () => {
      const payload = token ? { authorization: `Bearer ${token}` } : {};
      socket.send(JSON.stringify({ type: 'connection_init', payload }));
    });
    socket.on('message', (data) => {
      const { type, payload } = JSON.parse(String(data));
      if (type === 'connection_ack')
        socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: operation }));
      else if (type === 'next') answer(payload);
      else if (type === 'error') answer({ errors: payload });
      else answer({});
    });
  });

/** The ways to ask that are to answer alike. */
export const transports: readonly { readonly transport: string; readonly ask: Ask }[] = [
  { transport: 'HTTP', ask: overHttp },
  { transport: 'WebSocket', ask: overWebSocket },
];
