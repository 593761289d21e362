import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  /** The head as it came. */
  readonly head: string;
  readonly body: Buffer;
}

export interface HttpClient {
  /** Sends a whole request and answers its response; one at a time. */
  ask(request: Buffer): Promise<Answer>;
  close(): void;
}

/**
 * One connection that is kept, for servers that say how long their answers are. No more than that: a client
 * that costs as much as what it measures would be what is measured, on two cores.
 */
export async function openHttp(url: string): Promise<HttpClient> {
  const { hostname, port } = new URL(url);
  const socket: Socket = connect(Number(port), hostname).setNoDelay(true);
  await once(socket, 'connect');
  let chunks: Buffer[] = [];
  let received = 0;
  /** Of the answer in all; 0 until its head has come. */
  let expected = 0;
  let bodyAt = 0;
  let settle: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    received += chunk.length;
    if (expected === 0) readHead();
    if (expected === 0 || received < expected) return;
    const whole = chunks.length === 1 ? chunk : Buffer.concat(chunks);
    chunks = [];
    received = expected = 0;
    const head = whole.toString('latin1', 0, bodyAt);
    const status = Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
    settle?.resolve({ status, head, body: whole.subarray(bodyAt) });
  });
  const fail = (error: Error) => settle?.reject(error);
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('The server closed the connection.')));

  function readHead(): void {
    const start = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    const end = start.indexOf('\r\n\r\n');
    if (end === -1) return;
    bodyAt = end + 4;
    const length = /\r\ncontent-length: (\d+)/i.exec(start.toString('latin1', 0, end))?.[1];
    if (length === undefined) fail(new Error('The answer does not say how long it is.'));
    expected = bodyAt + Number(length);
  }

  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject };
        socket.write(request);
      }),
    close: () => socket.destroy(),
  };
}

/** A request as it goes over the wire. */
export function requestOf(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Buffer {
  const { host, pathname } = new URL(url);
  const all = { host, ...headers, 'content-length': String(Buffer.byteLength(body)) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`POST ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
}
