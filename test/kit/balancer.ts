import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** One client's way to the servers: an address of its own, so that its connections can be told. */
export interface Door {
  readonly url: string;
  readonly wsUrl: string;
  /** Cuts all connections of this client. */
  cut(): void;
  /** Cuts them, and each new one at once, until `open`. */
  shut(): void;
  /** Until `open`: what is asked gets there, and each connection is cut in the place of an answer. */
  loseAnswers(): void;
  open(): void;
}

export interface Balancer {
  /** The servers' URLs. May be changed at any time; connections that are there stay. */
  readonly targets: string[];
  door(): Promise<Door>;
  /** Cuts one connection, whoever's: `choose` gets how many there are. */
  cutOne(choose: (connections: number) => number): void;
  close(): void;
}

/**
 * A TCP load balancer as plain as they come: each new connection goes to the next server, and to the
 * one after that if it is refused.
 */
export function startBalancer(...urls: string[]): Balancer {
  const targets = [...urls];
  const connections = new Set<Socket>();
  const servers: Server[] = [];
  let turn = 0;

  function reach(inside: Socket, tries: number, loses: () => boolean): void {
    const target = targets[turn % targets.length];
    turn += 1;
    if (target === undefined || tries === 0 || inside.destroyed) {
      inside.destroy();
      return;
    }
    const { hostname, port } = new URL(target);
    const outside = connect({ port: Number(port), host: hostname, noDelay: true });
    const next = () => reach(inside, tries - 1, loses);
    outside.once('error', next);
    outside.once('connect', () => {
      outside.off('error', next).on('error', () => {});
      outside.once('close', () => inside.destroy());
      inside.once('close', () => outside.destroy());
      if (inside.destroyed) outside.destroy();
      outside.on('data', () => {
        if (loses()) inside.destroy();
      });
      inside.pipe(outside).pipe(inside);
    });
  }

  async function door(): Promise<Door> {
    const mine = new Set<Socket>();
    let isOpen = true;
    let isLosing = false;
    const server = createServer({ noDelay: true }, (inside) => {
      inside.on('error', () => {});
      if (!isOpen) {
        inside.destroy();
        return;
      }
      for (const set of [mine, connections]) {
        set.add(inside);
        inside.once('close', () => set.delete(inside));
      }
      reach(inside, targets.length, () => isLosing);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const cut = () => {
      for (const socket of mine) socket.destroy();
    };
    return {
      url: `http://127.0.0.1:${port}`,
      wsUrl: `ws://127.0.0.1:${port}`,
      cut,
      shut() {
        isOpen = false;
        cut();
      },
      loseAnswers() {
        isLosing = true;
      },
      open() {
        isOpen = true;
        isLosing = false;
      },
    };
  }

  return {
    targets,
    door,
    cutOne(choose) {
      [...connections][choose(connections.size)]?.destroy();
    },
    close() {
      for (const server of servers) server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}
