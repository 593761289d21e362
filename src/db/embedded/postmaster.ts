import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Cluster } from './cluster.ts';
import { isAlive, isPostmaster, readPidFile } from './pids.ts';

/** PostgreSQL ended before it was ready; `reason` says what may be done about it. */
export class LaunchFailed extends Error {
  override readonly name = 'LaunchFailed';
  readonly reason: 'running' | 'remains' | 'port' | 'other';

  constructor(line: string, logFile: string) {
    super(`PostgreSQL did not start: ${line} (more in ${logFile})`);
    this.reason = reasonOf(line);
  }
}

function reasonOf(line: string): LaunchFailed['reason'] {
  if (/lock file "postmaster.pid" (already exists|is empty)/.test(line)) return 'running';
  // Backends of a postmaster that was killed, which need a moment to notice.
  if (line.includes('pre-existing shared memory block')) return 'remains';
  if (line.includes('could not create any TCP/IP sockets')) return 'port';
  return 'other';
}

const MAX_LOG = 1024 * 1024;
const POLL = 20;

/**
 * Starts PostgreSQL on `port` of the loopback interface and waits until it takes connections, which
 * after a crash can be long. Rejects with LaunchFailed when it ends before.
 */
export async function launchPostmaster(
  cluster: Cluster,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const { file, args, options } = cluster.runner.command(cluster.binaries.postgres, [
    '-D',
    cluster.directory,
    ...settings(port),
  ]);
  const env = { ...options.env, ...(await strangerIgnored(cluster.directory)) };
  const log = await openLog(cluster.logFile);
  const { size } = await log.stat();
  // Its own session: Ctrl-C in a terminal is for us, and we stop it in order. Its own log file: it
  // outlives us when we are killed, and a pipe to us would be broken then.
  const stdio = ['ignore', log.fd, log.fd] as const;
  const child = spawn(file, args, { ...options, env, stdio: [...stdio], detached: true });
  try {
    await once(child, 'spawn');
  } finally {
    await log.close();
  }
  child.unref();
  const running = () => child.exitCode === null && child.signalCode === null;
  while (running()) {
    const found = await readPidFile(cluster.directory);
    if (found?.pid === child.pid && found?.ready) return;
    // Not ready: nobody else can be using it.
    if (signal.aborted) child.kill('SIGINT');
    await sleep(POLL);
  }
  signal.throwIfAborted();
  const words = (await readFile(cluster.logFile)).subarray(size).toString();
  throw new LaunchFailed(reasonIn(words, child.pid), cluster.logFile);
}

function settings(port: number): string[] {
  const values = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 100,
    log_checkpoints: 'off',
    // Without DETAIL, which quotes rows.
    log_error_verbosity: 'terse',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * PostgreSQL takes any living process of its user with the pid in `postmaster.pid` for a postmaster,
 * except its own ancestors, of which it learns one from this variable (CreateLockFile() in
 * miscinit.c). Told so about a process that got the pid later, it goes on to look whether the old
 * server's shared memory is still in use, which removing the file would keep it from doing.
 */
async function strangerIgnored(directory: string): Promise<Record<string, string>> {
  const stale = await readPidFile(directory);
  if (!stale || !isAlive(stale.pid) || (await isPostmaster(stale.pid, directory))) return {};
  return { PG_GRANDPARENT_PID: String(stale.pid) };
}

async function openLog(path: string) {
  const size = await stat(path).then(
    (file) => file.size,
    () => 0,
  );
  if (size > MAX_LOG) await rename(path, `${path}.old`);
  return open(path, 'a', 0o600);
}

/** The postmaster's own last complaint, or that of a process it had started, or what else was said. */
function reasonIn(log: string, pid: number | undefined): string {
  const lines = log.trimEnd().split('\n');
  const line =
    lines.findLast((text) => text.includes(`[${pid}] FATAL:`)) ??
    lines.findLast((text) => /(FATAL|PANIC): /.test(text)) ??
    lines.at(-1);
  return line?.replace(/^.*(FATAL|PANIC): +/, '') || 'it gives no reason';
}

/** Stops the server in order, disconnecting everyone; after 10 s without order. */
export async function stopPostmaster(cluster: Cluster, pid: number): Promise<void> {
  for (const mode of ['fast', 'immediate'] as const) {
    if (!(await isPostmaster(pid, cluster.directory))) return;
    await signalPostmaster(cluster, pid, mode);
    if (await ended(pid, cluster.directory, 10_000)) return;
  }
  throw new Error(`PostgreSQL (pid ${pid}) of ${cluster.dataDir} does not stop.`);
}

async function signalPostmaster(cluster: Cluster, pid: number, mode: 'fast' | 'immediate') {
  if (process.platform === 'win32') {
    const args = ['stop', '-D', cluster.directory, '-m', mode, '-W'];
    await promisify(execFile)(cluster.binaries.pg_ctl, args);
    return;
  }
  try {
    process.kill(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function ended(pid: number, directory: string, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (await isPostmaster(pid, directory)) {
    if (Date.now() > deadline) return false;
    await sleep(POLL);
  }
  return true;
}
