import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { type Hold, tryHold } from './hold.ts';
import { findPostmaster, type Postmaster } from './pids.ts';
import { LaunchFailed, launchPostmaster, stopPostmaster } from './postmaster.ts';

/** Another server works with the data directory. */
export class DataDirInUse extends Error {
  override readonly name = 'DataDirInUse';

  constructor(dataDir: string) {
    super(`The data directory ${dataDir} is in use by another chatkeep server.`);
  }
}

/** A running PostgreSQL that is ours alone. */
export interface Acquired {
  readonly pid: number;
  readonly port: number;
  readonly hold: Hold;
}

export interface AcquireOptions {
  /** Where it has to listen; default any free port. */
  readonly port?: number;
  readonly signal: AbortSignal;
}

const POLL = 50;
// How long a server may neither answer nor say why, and how long remains of a killed one may last.
const PATIENCE = 15_000;

/**
 * Takes hold of the cluster's PostgreSQL: of the one that runs, be it that a server before us was
 * killed and left it, or of one that it starts. Of several servers that try, one gets it and the
 * others reject with DataDirInUse.
 */
export async function acquire(cluster: Cluster, options: AcquireOptions): Promise<Acquired> {
  let deadline = Date.now() + PATIENCE;
  for (;;) {
    const running = await findPostmaster(cluster.directory);
    // One that runs may be the one we launched: told to stop, we have to hold it to stop it.
    if (!running) options.signal.throwIfAborted();
    const attempt = running
      ? await takeHold(cluster, running, options)
      : await launch(cluster, options);
    if (attempt === undefined) continue;
    if ('hold' in attempt) return attempt;
    if (attempt.progress) deadline = Date.now() + PATIENCE;
    if (Date.now() > deadline) throw attempt.error;
    await sleep(POLL, undefined, { signal: options.signal });
  }
}

/** Not yet: wait, and fail with `error` if that goes on without progress. */
interface NotYet {
  readonly progress: boolean;
  readonly error: Error;
}

async function takeHold(
  cluster: Cluster,
  { pid, port }: Postmaster,
  options: AcquireOptions,
): Promise<Acquired | NotYet | undefined> {
  const attempt = await tryHold(cluster, port);
  if (attempt.kind === 'taken') throw new DataDirInUse(cluster.dataDir);
  if (attempt.kind !== 'held') {
    const cause = attempt.kind === 'unreachable' ? attempt.cause : undefined;
    const error = new Error(`PostgreSQL (pid ${pid}) of ${cluster.dataDir} does not answer.`, {
      cause,
    });
    return { progress: attempt.kind === 'wait', error };
  }
  if (port === (options.port ?? port)) return { pid, port, hold: attempt.hold };
  // While ours was down, another server started one for itself, and did not get the lock.
  await stopPostmaster(cluster, pid);
  await attempt.hold.release();
  return undefined;
}

async function launch(cluster: Cluster, options: AcquireOptions): Promise<NotYet | undefined> {
  try {
    await launchPostmaster(cluster, options.port ?? (await freePort()), options.signal);
    return undefined;
  } catch (error) {
    if (!(error instanceof LaunchFailed) || error.reason === 'other') throw error;
    return { progress: false, error };
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
