const stops: (() => unknown)[] = [];
let stopping = false;

/** Whether somebody has ended the bench: what fails now fails because of that. */
export const isStopping = (): boolean => stopping;

/** Has something stopped at the end, the last one first. */
export const onStop = (stop: () => unknown): void => void stops.push(stop);

export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) {
    await Promise.resolve(stop()).catch((error: unknown) => say(`bench: ${error}`));
  }
}

/** Runs it to its end, which may be an error or a Ctrl-C, and leaves nothing running. */
export async function stoppingAll(run: () => Promise<void>): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, async () => {
      if (stopping) return;
      stopping = true;
      progress('stopping');
      await stopAll();
      process.exit(130);
    });
  }
  try {
    await run();
  } catch (error) {
    if (!stopping) complain(error);
  }
  if (!stopping) await stopAll();
}

/** Goes on, but ends with 1. */
export function complain(error: unknown): void {
  process.stderr.write(`\nbench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** One line that is written over; where nobody looks, a line for each step. */
export function progress(where: string): void {
  if (!process.stdout.isTTY) {
    if (where) say(`bench: ${where}`);
    return;
  }
  process.stdout.write(`\r\x1b[K${where && `bench: ${where}`}`);
}
