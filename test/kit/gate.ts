import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Gate {
  /** The URL that leads through it. */
  readonly url: string;
  /** Cuts all connections, and each new one at once. */
  shut(): void;
  open(): void;
  close(): void;
}

/** A TCP proxy in front of the server of a URL. */
export async function startGate(targetUrl: string): Promise<Gate> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let isOpen = true;
  const server = createServer((inside) => {
    if (!isOpen) {
      inside.destroy();
      return;
    }
    const outside = connect(Number(target.port), target.hostname);
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
      one.pipe(other);
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
    shut,
    open() {
      isOpen = true;
    },
    close() {
      shut();
      server.close();
    },
  };
}
