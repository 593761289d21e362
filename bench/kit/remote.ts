import { fork } from 'node:child_process';
import { once } from 'node:events';

/** What a process of the bench can be asked to do, over Node's IPC. */
type Duties<D> = { readonly [K in keyof D]: (argument: never) => unknown };

interface Question {
  readonly id: number;
  readonly duty: string;
  readonly argument: unknown;
}

type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly error: string });

export interface Remote<D extends Duties<D>> {
  ask<K extends keyof D & string>(
    duty: K,
    ...argument: Parameters<D[K]>
  ): Promise<Awaited<ReturnType<D[K]>>>;
  stop(): Promise<void>;
}

/** In the process that is asked. It ends when the one that asks is gone. */
export function serve<D extends Duties<D>>(duties: D): void {
  process.on('message', async ({ id, duty, argument }: Question) => {
    try {
      const value = await duties[duty as keyof D](argument as never);
      process.send?.({ id, value } satisfies Answer);
    } catch (error) {
      process.send?.({ id, error: (error as Error).stack ?? String(error) } satisfies Answer);
    }
  });
  process.on('disconnect', () => process.exit());
  // Ctrl-C in a terminal reaches all processes: who started this one says when it ends.
  process.on('SIGINT', () => {});
}

/** Starts a compiled file as a process of its own, with this Node or another one. */
export function startRemote<D extends Duties<D>>(
  file: string,
  flags: readonly string[] = [],
  execPath = process.execPath,
): Remote<D> {
  const child = fork(file, { execArgv: [...flags], execPath });
  const waiting = new Map<number, (answer: Answer) => void>();
  let asked = 0;
  const gone = once(child, 'exit').then(([code, signal]) => {
    const error = `${file} ended (${signal ?? code})`;
    for (const [id, answer] of waiting) answer({ id, error });
  });
  child.on('message', (answer: Answer) => {
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  return {
    ask: (duty, ...[argument]) =>
      new Promise((resolve, reject) => {
        const id = ++asked;
        waiting.set(id, (answer) => {
          if ('error' in answer) reject(new Error(answer.error));
          else resolve(answer.value as never);
        });
        child.send({ id, duty, argument } satisfies Question);
      }),
    async stop() {
      if (child.connected) child.disconnect();
      await gone;
    },
  };
}
