import { type ChildProcess, execFile, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import postgres from 'postgres';
import type { Report } from './embedded-child.ts';

const script = fileURLToPath(new URL('./embedded-child.ts', import.meta.url));

/** A process of its own with an embedded PostgreSQL in `dataDir`. */
export interface EmbeddedServer {
  readonly process: ChildProcess;
  /** How the start went. */
  readonly report: Report;
  /** What it wrote to stdout and stderr up to now. */
  output(): string;
  kill(): Promise<void>;
  /** Stops in order. */
  stop(): Promise<void>;
}

/** Starts `embedded-child.ts`, or another copy of it. */
export async function startServer(dataDir: string, path = script): Promise<EmbeddedServer> {
  const child = fork(path, [dataDir], { execArgv: ['--import', 'tsx'], silent: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk;
    });
  }
  const exited = once(child, 'exit');
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await exited;
  };
  const report = await Promise.race([once(child, 'message'), exited]).then(([first]) => {
    if (typeof first === 'object') return first as Report;
    throw new Error(`The server ended without a word: ${output}`);
  });
  return {
    process: child,
    report,
    output: () => output,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

/** The URLs of a server that started. */
export function urlsOf(server: EmbeddedServer): { url: string; ownerUrl: string } {
  if (server.report.kind === 'failed') throw new Error(server.report.message);
  return server.report;
}

/** Waits until `check` answers something other than undefined or false, and does not throw. */
export async function until<T>(
  check: () => Promise<T>,
  withinMs = 15_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const result = await check().catch((error: unknown) => {
      if (Date.now() > deadline) throw error;
    });
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`It did not come true: ${check}`);
    await sleep(20);
  }
}

/** Does one thing on a connection of its own. */
export async function onDatabase<T>(
  url: string,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 5 });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** The pid in `postmaster.pid`. */
export async function postmasterOf(dataDir: string): Promise<number> {
  const text = await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8');
  return Number(text.split('\n')[0]);
}

/** The pids of all processes of PostgreSQL in `dataDir`. */
export async function processesOf(dataDir: string): Promise<number[]> {
  const postmaster = await postmasterOf(dataDir);
  // Whoever is about to kill them goes on listening meanwhile.
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,ppid=']);
  const rows = stdout.trim().split('\n');
  const pairs = rows.map((row) => row.trim().split(/\s+/).map(Number));
  return pairs.flatMap(([pid = 0, parent]) =>
    pid === postmaster || parent === postmaster ? [pid] : [],
  );
}

export function isRunning(pid: number): boolean {
  const state = execFileSync('ps', ['-eo', 'pid=,stat='], { encoding: 'utf8' });
  return new RegExp(`^\\s*${pid} [^Z]`, 'm').test(state);
}

/** Once none of them runs. */
export async function gone(pids: readonly number[]): Promise<void> {
  const running = new RegExp(`^\\s*(${pids.join('|')}) +[^Z]`, 'm');
  for (;;) {
    const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,stat=']);
    if (!running.test(stdout)) return;
    await sleep(10);
  }
}

/** A new folder; with mode 0o755 one that the account of PostgreSQL may enter, should we be root. */
export async function newFolder(mode: 0o700 | 0o755 = 0o755): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chatkeep-embedded-'));
  await chmod(folder, mode);
  return folder;
}

/** For one that may have ended by itself meanwhile. */
export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ends what still runs in the folder, and removes it. */
export async function removeFolder(dataDir: string): Promise<void> {
  for (const pid of await processesOf(dataDir).catch(() => [])) {
    kill(pid);
  }
  await until(async () => {
    await rm(dataDir, { recursive: true, force: true });
    return true;
  });
}
