import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Gate {
  /** The URL that leads through it. */
  readonly url: string;
  /** How many were ever opened. */
  readonly connections: number;
  /** Cuts all connections, and each new one at once. */
  shut(): void;
  open(): void;
  /** Keeps back what the server answers, until `open`; resolves once a transaction's end is kept back. */
  hold(): Promise<void>;
  close(): void;
}

/** A TCP proxy in front of the server of a URL. */
export async function startGate(targetUrl: string): Promise<Gate> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const held: (() => void)[] = [];
  let holding = false;
  let committed = () => {};
  let isOpen = true;
  let connections = 0;
  const server = createServer((inside) => {
    connections += 1;
    if (!isOpen) {
      inside.destroy();
      return;
    }
    const outside = connect(Number(target.port), target.hostname);
    inside.pipe(outside);
    outside.on('data', (chunk: Buffer) => {
      if (holding) held.push(() => inside.write(chunk));
      else inside.write(chunk);
      if (holding && chunk.includes('COMMIT')) committed();
    });
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const shut = () => {
    isOpen = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: Object.assign(new URL(targetUrl), { port: String(port) }).href,
    get connections() {
      return connections;
    },
    shut,
    open() {
      isOpen = true;
      holding = false;
      for (const write of held.splice(0)) write();
    },
    hold() {
      holding = true;
      return new Promise<void>((resolve) => {
        committed = resolve;
      });
    },
    close() {
      shut();
      server.close();
    },
  };
}
