import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';

/** What the figures were measured on. */
export function describeMachine(): Record<string, unknown> {
  return {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: process.platform,
    loadBefore: loadavg()[0],
  };
}

/** @throws in words for a person, when a process may not open so many files */
export function requireOpenFiles(needed: number): void {
  if (process.platform === 'win32') return;
  const limit = execFileSync('sh', ['-c', 'ulimit -n']).toString().trim();
  if (limit !== 'unlimited' && Number(limit) < needed) {
    throw new Error(
      `This needs ${needed} open files a process, and the limit is ${limit}: run "ulimit -n ${needed}" first, or pass --sockets=500.`,
    );
  }
}

/** The CPU that PostgreSQL has used, all its processes, in µs; NaN where there is no /proc. */
export function postgresCpu(postmaster: number): number {
  const main = statOf(postmaster);
  if (!main) return Number.NaN;
  const children = readdirSync('/proc').flatMap((name) => {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    return stat?.parent === postmaster ? [stat.own] : [];
  });
  const ticks = children.reduce((sum, own) => sum + own, main.own + main.ended);
  return ticks * (1_000_000 / TICKS_A_SECOND);
}

/** The CPU that a process has used by itself, in µs. */
export const processCpu = (pid: number): number =>
  (statOf(pid)?.own ?? Number.NaN) * (1_000_000 / TICKS_A_SECOND);

export const parentOf = (pid: number): number => statOf(pid)?.parent ?? 0;

/** Linux' USER_HZ. */
const TICKS_A_SECOND = 100;

/** A process' parent, its CPU and that of its children that have ended, in ticks: proc(5). */
function statOf(pid: number) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Its name, in brackets, may hold anything.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const field = (n: number) => fields[n - 3] ?? 0;
    return { parent: field(4), own: field(14) + field(15), ended: field(16) + field(17) };
  } catch {
    // It has just ended, or this is no Linux.
    return undefined;
  }
}
