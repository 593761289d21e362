import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Gate {
  /** The URL that leads through it. */
  readonly url: string;
  readonly port: number;
  /** How many connections were ever opened. */
  readonly connections: number;
  /** How many pieces clients have sent; a command by itself is one. */
  readonly asked: number;
  /**
   * How often a client has said something after an answer had come to it. Exact under a `delay` alone: what is
   * sent in several pieces is all here then before the answer to the first of them gets there.
   */
  readonly trips: number;
  /** Keeps back the answers to all but the next so many trips, until `open`. */
  allow(trips: number): void;
  /** Cuts all connections; new ones are let through. */
  cut(): void;
  /** Cuts all connections, and each new one at once. */
  shut(): void;
  /** Ends what any of the others began; what was kept back goes out. A black hole's connections are lost. */
  open(): void;
  /** From now on each piece comes so many milliseconds late, either way. */
  delay(ms: number): void;
  /**
   * As a firewall that forgot its connections: all stay open, new ones too, and nothing comes through
   * (with `marked`: through those whose client said what the gate's mark matches).
   */
  blackHole(which?: 'all' | 'marked'): void;
  /** Ends the server's side of each connection; what the client says still gets there. */
  halfClose(): void;
  /** Keeps back what the server answers, until `open`; resolves once a transaction's end is kept back. */
  hold(): Promise<void>;
  close(): void;
}

interface GateOptions {
  /** What clients say on connections that `blackHole('marked')` is about. */
  readonly mark?: RegExp;
}

interface Link {
  readonly inside: Socket;
  readonly outside: Socket;
  marked: boolean;
  swallowed: boolean;
  /** Whether an answer has come since the client last said something. */
  answered: boolean;
  /** Whether it is on a trip too many. */
  stopped: boolean;
}

/** A TCP proxy in front of the server of a URL, which it looks up anew for each connection. */
export async function startGate(
  target: string | (() => string),
  { mark }: GateOptions = {},
): Promise<Gate> {
  const targetUrl = () => new URL(typeof target === 'string' ? target : target());
  const links = new Set<Link>();
  const held: (() => void)[] = [];
  let state: 'open' | 'shut' | 'black hole' | 'holding' = 'open';
  let delayMs = 0;
  let committed = () => {};
  let connections = 0;
  let asked = 0;
  let trips = 0;
  let allowed = Number.POSITIVE_INFINITY;

  // What comes goes on at once: else small pieces wait 40 ms for each other's acknowledgement.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (inside) => {
    connections += 1;
    inside.on('error', () => {});
    if (state === 'shut') {
      inside.destroy();
      return;
    }
    const { port, hostname } = targetUrl();
    const outside = connect({
      port: Number(port),
      host: hostname,
      allowHalfOpen: true,
      noDelay: true,
    });
    outside.on('error', () => {});
    const link: Link = {
      inside,
      outside,
      marked: false,
      swallowed: state === 'black hole',
      answered: true,
      stopped: false,
    };
    links.add(link);
    pass(link, inside, outside, (chunk) => {
      if (mark?.test(chunk.toString('latin1'))) link.marked = true;
      if (!link.answered) return;
      link.answered = false;
      trips += 1;
      link.stopped = trips > allowed;
    });
    pass(link, outside, inside, (chunk) => {
      if (state === 'holding' && chunk.includes('COMMIT')) committed();
    });
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      one.on('close', () => {
        if (!link.swallowed) other.destroy();
        if (other.destroyed) links.delete(link);
      });
    }
  });

  function pass(link: Link, from: Socket, to: Socket, see: (chunk: Buffer) => void): void {
    /** What is late. Each timer writes the oldest piece, so that a shorter delay lets none overtake another. */
    const late: (() => void)[] = [];
    from.on('data', (chunk: Buffer) => {
      if (from === link.inside) asked += 1;
      if (link.swallowed) return;
      see(chunk);
      const write = () => {
        if (from === link.outside) link.answered = true;
        if (to.destroyed || to.write(chunk)) return;
        from.pause();
        to.once('drain', () => from.resume());
      };
      const isKept = state === 'holding' || link.stopped;
      if (isKept && from === link.outside) held.push(write);
      else if (delayMs > 0 || late.length > 0) {
        late.push(write);
        setTimeout(() => late.shift()?.(), delayMs);
      } else write();
    });
    from.on('end', () => {
      if (!link.swallowed) setTimeout(() => to.end(), delayMs);
    });
  }

  function cut(): void {
    for (const { inside, outside } of links) {
      inside.destroy();
      outside.destroy();
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    get url() {
      return Object.assign(targetUrl(), { hostname: '127.0.0.1', port: String(port) }).href;
    },
    port,
    get connections() {
      return connections;
    },
    get asked() {
      return asked;
    },
    get trips() {
      return trips;
    },
    allow(more) {
      allowed = trips + more;
    },
    cut,
    shut() {
      state = 'shut';
      cut();
    },
    open() {
      state = 'open';
      delayMs = 0;
      allowed = Number.POSITIVE_INFINITY;
      for (const link of links) link.stopped = false;
      for (const write of held.splice(0)) write();
      for (const { inside, outside, swallowed } of links) {
        if (!swallowed) continue;
        inside.destroy();
        outside.destroy();
      }
    },
    delay(ms) {
      delayMs = ms;
    },
    blackHole(which = 'all') {
      if (which === 'all') state = 'black hole';
      for (const link of links) if (which === 'all' || link.marked) link.swallowed = true;
    },
    halfClose() {
      for (const { inside } of links) inside.end();
    },
    hold() {
      state = 'holding';
      return new Promise<void>((resolve) => {
        committed = resolve;
      });
    },
    close() {
      state = 'shut';
      cut();
      server.close();
    },
  };
}
