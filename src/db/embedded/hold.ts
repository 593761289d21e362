import { realpath } from 'node:fs/promises';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import type { Cluster } from './cluster.ts';

/** The right to this cluster: an advisory lock, held for as long as the connection lives. */
export interface Hold {
  readonly sql: postgres.Sql;
  /** Resolves when the connection, and with it the lock, is gone. */
  readonly lost: Promise<void>;
  release(): Promise<void>;
}

export type Attempt =
  | { readonly kind: 'held'; readonly hold: Hold }
  /** Another server holds it, and went on holding it. */
  | { readonly kind: 'taken' }
  /** PostgreSQL is starting, recovering or stopping. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'unreachable'; readonly cause: unknown };

// Any fixed number. Advisory locks are a database's own; this one is in `postgres`, which is always
// there and which nobody else uses.
const LOCK = 0x6b656570;
// A server that was killed keeps its lock until PostgreSQL noticed that its connection is closed.
const PATIENCE = 2000;
const TIMEOUT = 5000;

/** Tries to take hold of the cluster through the server that listens on `port`. */
export async function tryHold(cluster: Cluster, port: number): Promise<Attempt> {
  const hold = connect(cluster, port);
  try {
    const attempt = await lock(hold, cluster.directory);
    if (attempt.kind !== 'held') await hold.release();
    return attempt;
  } catch (cause) {
    await hold.release();
    const code = (cause as { code?: string }).code;
    if (code === '57P03') return { kind: 'wait' };
    if (code !== '28P01') return { kind: 'unreachable', cause };
    throw new Error(
      `The password in ${cluster.passwordFile} is not that of the database beside it.`,
      { cause },
    );
  }
}

async function lock(hold: Hold, directory: string): Promise<Attempt> {
  const [server] = await hold.sql<{ directory: string }[]>`
    select current_setting('data_directory') as directory`;
  const served = server?.directory ?? '';
  if (served !== directory && (await realpath(served)) !== (await realpath(directory))) {
    return { kind: 'unreachable', cause: new Error('Another PostgreSQL listens on its port.') };
  }
  const deadline = Date.now() + PATIENCE;
  do {
    const [row] = await hold.sql<{ got: boolean }[]>`select pg_try_advisory_lock(${LOCK}) as got`;
    if (row?.got) return { kind: 'held', hold };
    await sleep(50);
  } while (Date.now() < deadline);
  return { kind: 'taken' };
}

/**
 * One connection that is never reopened: on another connection there would be no lock. As in a lane,
 * that holds because postgres.js gets its socket from us, once.
 */
function connect(cluster: Cluster, port: number): Hold {
  let socket: net.Socket | undefined;
  let lose: () => void = () => {};
  const lost = new Promise<void>((resolve) => {
    lose = resolve;
  });
  const sql = postgres({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    pass: cluster.ownerPassword,
    database: 'postgres',
    max: 1,
    fetch_types: false,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: TIMEOUT / 1000,
    onnotice: () => {},
    onclose: () => lose(),
    // Should creating the role fail, the statement is not for the log.
    connection: { application_name: 'chatkeep lock', log_min_error_statement: 'panic' },
    socket: () => {
      if (socket) throw new Error('This connection is closed.');
      socket = net.connect(port, '127.0.0.1');
      return opened(socket);
    },
  } as unknown as postgres.Options<Record<string, never>>);
  return {
    sql,
    lost,
    async release() {
      await sql.end({ timeout: 1 });
      socket?.destroy();
    },
  };
}

function opened(socket: net.Socket): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(TIMEOUT, () => fail(new Error('PostgreSQL does not answer.')));
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
