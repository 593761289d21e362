import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Bench, Part } from './kit/bench.ts';
import { build } from './kit/build.ts';
import { chartOf } from './kit/chart.ts';
import { describeMachine } from './kit/machine.ts';
import { linesOf, tableOf } from './kit/report.ts';
import { events } from './parts/events.ts';
import { history } from './parts/history.ts';
import { scale } from './parts/scale.ts';
import { search } from './parts/search.ts';
import { web } from './parts/web.ts';

const PARTS: Readonly<Record<string, Part>> = { history, search, events, web, scale };
const RESULTS = fileURLToPath(new URL('results', import.meta.url));

const USAGE = `npm run bench [-- part ...] [--rounds=5] [--seconds=3] [--sockets=5000]
  [--messages=1000000] [--contestants=bare,chatkeep] [--profiles=folder]
parts: ${Object.keys(PARTS).join(', ')}; all of them when none is named
`;

const say = (line: string) => process.stdout.write(`${line}\n`);
const stops: (() => unknown)[] = [];

async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) {
    await Promise.resolve(stop()).catch((error: unknown) => say(`bench: ${error}`));
  }
}

async function run(name: string, part: Part, bench: Bench): Promise<void> {
  const machine = describeMachine();
  const report = await part(bench);
  await stopAll();
  bench.progress('');
  if (!report) return;
  say(`\n${report.title}\n\n${tableOf(report)}\n`);
  for (const [contestant, what] of Object.entries(report.contestants))
    say(`${contestant}: ${what}`);
  for (const note of report.notes) say(note);
  const { rounds, seconds, sockets, messages } = bench;
  const asked = { rounds, seconds, sockets, messages };
  const result = { at: new Date(), machine, ...asked, ...report, lines: linesOf(report) };
  await mkdir(RESULTS, { recursive: true });
  await writeFile(`${RESULTS}/${name}.json`, `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(`${RESULTS}/${name}.svg`, chartOf(report));
  say(`Written to bench/results/${name}.json and .svg`);
}

/** One line that is written over; where nobody looks, a line for each step. */
function progress(where: string): void {
  if (!process.stdout.isTTY) {
    if (where) say(`bench: ${where}`);
    return;
  }
  process.stdout.write(`\r\x1b[K${where && `bench: ${where}`}`);
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      sockets: { type: 'string', default: '5000' },
      messages: { type: 'string', default: '1000000' },
      contestants: { type: 'string' },
      profiles: { type: 'string' },
    },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(PARTS);
  const parts = names.map((name) => [name, PARTS[name]] as const);
  const bench: Bench = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    sockets: Number(values.sockets),
    messages: Number(values.messages),
    contestants: values.contestants?.split(','),
    profiles: values.profiles,
    progress,
    onStop: (stop) => void stops.push(stop),
  };
  if (parts.some(([, part]) => !part)) {
    process.stderr.write(USAGE);
    process.exit(2);
  }
  if (bench.profiles) await mkdir(bench.profiles, { recursive: true });
  progress('compiling');
  await build();
  for (const [name, part] of parts) if (part) await run(name, part, bench);
}

let stopping = false;
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
  await main();
} catch (error) {
  await stopAll();
  if (!stopping) process.stderr.write(`\nbench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
