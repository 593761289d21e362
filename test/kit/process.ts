import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Timing } from './impatient-server.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const impatient = fileURLToPath(new URL('./impatient-server.ts', import.meta.url));

export interface ServerProcess {
  readonly child: ChildProcess;
  /** All that it has printed, stdout and stderr. */
  readonly output: () => string;
  /** The exit code, once it is gone. */
  readonly exited: Promise<number | null>;
  /** The address it prints when it serves. @throws if it exits before */
  serving(): Promise<{ url: string; wsUrl: string }>;
}

/** The server as a process of its own for one test, with no environment but what is given. */
export function spawnServer(env: Readonly<Record<string, string>>): ServerProcess {
  const server = runServer(env);
  onTestFinished(async () => {
    server.child.kill('SIGTERM');
    await server.exited;
  });
  return server;
}

/** The same for whoever ends it; with a timing, it is `impatient-server.ts`. */
export function runServer(env: Readonly<Record<string, string>>, timing?: Timing): ServerProcess {
  const script = timing ? [impatient, JSON.stringify(timing)] : [main];
  const child = spawn(process.execPath, ['--import', 'tsx', ...script], {
    env: { PATH: process.env['PATH'] ?? '', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let wake = () => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      wake();
    });
  }
  const exited = once(child, 'close').then(([code]) => code as number | null);
  exited.then(() => wake());
  return {
    child,
    output: () => output,
    exited,
    async serving() {
      for (;;) {
        const url = /chatkeep: (http:\/\/\S+)\n/.exec(output)?.[1];
        if (url) return { url, wsUrl: url.replace('http', 'ws') };
        if (child.exitCode !== null || child.signalCode !== null) {
          throw new Error(`The server stopped:\n${output}`);
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
