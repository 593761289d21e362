import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

/** What `postmaster.pid` says about a server. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  /** Whether it takes connections. */
  readonly ready: boolean;
}

/** Whether a process has this pid, be it a zombie or another user's. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The cluster's `postmaster.pid`, whether or not its process still lives. */
export async function readPidFile(directory: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '');
  // https://www.postgresql.org/docs/18/storage-file-layout.html: pid, directory, start, port, socket
  // folder, address, shared memory, status
  const [pid, , , port, , , , status] = text.split('\n').map((line) => line.trim());
  if (!pid || !port) return undefined;
  return { pid: Number(pid), port: Number(port), ready: status === 'ready' };
}

/** Whether the process is the postmaster of this data directory, and not one that got its pid later. */
export async function isPostmaster(pid: number, directory: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform === 'win32') return true;
  const [program = '', ...args] = await commandOf(pid, directory);
  return basename(program).startsWith('postgres') && args.includes(directory);
}

/** The postmaster that runs in this data directory. */
export async function findPostmaster(directory: string): Promise<Postmaster | undefined> {
  const found = await readPidFile(directory);
  return found && (await isPostmaster(found.pid, directory)) ? found : undefined;
}

async function commandOf(pid: number, directory: string): Promise<string[]> {
  if (process.platform === 'linux') {
    // Empty for a zombie, which is what is left of an orphan where PID 1 does not reap.
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  }
  const ps = promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)]);
  const { stdout } = await ps.catch(() => ({ stdout: '' }));
  const [program = ''] = stdout.split(' -D ');
  return stdout.includes(` -D ${directory} `) ? [program, directory] : [program];
}
