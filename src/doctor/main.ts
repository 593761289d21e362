import { diagnose } from './doctor.ts';

const USAGE = `npm run doctor [-- --json]
Looks at what the environment names, and changes nothing. Exits with 0 when chatkeep runs, with things to
look at or without; with 1 when there is a fault; with 2 when the environment itself is not right.`;

async function main(): Promise<number> {
  const { stdout, stderr, argv } = process;
  const words = argv.slice(2);
  const asJson = words.includes('--json');
  if (words.some((word) => word !== '--json')) {
    await print(stderr, USAGE);
    return 2;
  }
  const inColour = stdout.isTTY && stdout.hasColors();
  const form = asJson ? 'JSON' : inColour ? 'coloured table' : 'table';
  const { output, exitCode } = await diagnose(process.env, form);
  await print(exitCode === 2 && !asJson ? stderr : stdout, output);
  return exitCode;
}

/** Resolves once it is written, which into a pipe is not at once. */
const print = (stream: NodeJS.WriteStream, text: string): Promise<void> =>
  new Promise((resolve) => stream.write(`${text}\n`, () => resolve()));

// Whatever does not answer would keep the process for longer.
process.exit(await main());
