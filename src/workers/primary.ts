import cluster, { type Worker } from 'node:cluster';
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Chatkeep, prepareDatabase, type StartOptions } from '../chatkeep.ts';
import type { Env } from '../env.ts';
import type { FromPrimary, FromWorker } from './messages.ts';
import { createTotals } from './totals.ts';

/** Before a process that ended is replaced: twice as long each time, until one has lived for a while. */
const PAUSE_MS = { first: 100, longest: 10_000 };
const A_WHILE_MS = 30_000;
/** A worker that does not tell its figures by then stands still; its last ones are good enough. */
const SILENT_MS = 1_000;

/**
 * `WEB_CONCURRENCY` processes that share a port, each of them a whole server. The primary takes no request:
 * it prepares the database, replaces a worker that ended, and adds up what they count.
 */
export async function startWorkers(env: Env, options: StartOptions): Promise<Chatkeep> {
  const { log } = options;
  // Each worker accepts for itself. Handed out in turn, connections hang for ever that were given to a worker
  // which stands still or has just died (docs/decisions: processes that share a port).
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  const database = await prepareDatabase(env, options);
  const totals = createTotals();
  const heard = new EventEmitter().setMaxListeners(0);
  const stopping = new AbortController();
  const workers = new Set<Worker>();

  function fork(): Worker {
    const worker = cluster.fork({ DATABASE_URL: database.url });
    workers.add(worker);
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'values') {
        totals.note(worker.id, message.values);
        heard.emit(String(worker.id));
      }
      if (message.kind === 'total') answer(worker, message.id);
    });
    worker.once('exit', () => {
      workers.delete(worker);
      totals.leave(worker.id);
    });
    return worker;
  }

  async function answer(worker: Worker, id: number): Promise<void> {
    await Promise.all([...workers].map(collect));
    tell(worker, { kind: 'total', id, values: await totals.read() });
  }

  async function collect(worker: Worker): Promise<void> {
    const told = once(heard, String(worker.id), { signal: AbortSignal.timeout(SILENT_MS) });
    tell(worker, { kind: 'collect' });
    await told.catch(() => {});
  }

  /** Has always one process in the place of `worker`, until the end. */
  async function keep(worker: Worker): Promise<void> {
    let current = worker;
    for (let pauseMs = PAUSE_MS.first; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)) {
      const began = Date.now();
      const [code, signal] = await once(current, 'exit');
      if (stopping.signal.aborted) return;
      if (Date.now() - began > A_WHILE_MS) pauseMs = PAUSE_MS.first;
      const ended = { worker: current.process.pid, code, signal, pauseMs };
      log.error(ended, 'a process ended; another one takes its place');
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      current = fork();
    }
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await Promise.all(
      [...workers].map((worker) => {
        const gone = once(worker, 'exit');
        worker.process.kill('SIGTERM');
        return gone;
      }),
    );
    await database.stop();
  }

  try {
    // One alone: should something be wrong, it is said once.
    const first = fork();
    const { url, parts } = await serving(first);
    keep(first);
    const others = Array.from({ length: env.processes - 1 }, fork);
    await Promise.all(
      others.map(async (worker) => {
        await serving(worker);
        keep(worker);
      }),
    );
    const processes = `${env.processes} share the port`;
    return { url, parts: { processes, ...parts, database: database.name }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function serving(worker: Worker): Promise<Extract<FromWorker, { kind: 'serving' }>> {
  return new Promise((resolve, reject) => {
    worker.once('exit', () => reject(new Error('A process ended before it could serve.')));
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'serving') resolve(message);
    });
  });
}

/** One that has just gone is told nothing any more. */
function tell(worker: Worker, message: FromPrimary): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
