import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Bench, Part } from './kit/bench.ts';
import { build } from './kit/build.ts';
import { chartOf } from './kit/chart.ts';
import { writeDocs } from './kit/docs.ts';
import { describeMachine } from './kit/machine.ts';
import { linesOf, tableOf } from './kit/report.ts';
import { complain, isStopping, onStop, progress, say, stopAll, stoppingAll } from './kit/stops.ts';
import { connections } from './parts/connections.ts';
import { depth } from './parts/depth.ts';
import { distance } from './parts/distance.ts';
import { events } from './parts/events.ts';
import { history } from './parts/history.ts';
import { invalidation } from './parts/invalidation.ts';
import { mixed } from './parts/mixed.ts';
import { scale } from './parts/scale.ts';
import { search } from './parts/search.ts';
import { sending } from './parts/sending.ts';
import { web } from './parts/web.ts';

const PARTS: Readonly<Record<string, Part>> = {
  history,
  connections,
  distance,
  depth,
  sending,
  mixed,
  invalidation,
  search,
  events,
  web,
  scale,
};
const RESULTS = fileURLToPath(new URL('results', import.meta.url));

const USAGE = `npm run bench [-- part ...] [--rounds=3] [--seconds=2] [--sockets=5000]
  [--messages=1000000] [--minutes=1] [--contestants=bare,chatkeep] [--profiles=folder]
parts: ${Object.keys(PARTS).join(', ')}; all of them when none is named
`;

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
  const { rounds, seconds, sockets, messages, minutes } = bench;
  const asked = { rounds, seconds, sockets, messages, minutes };
  const result = { at: new Date(), machine, ...asked, ...report, lines: linesOf(report) };
  await mkdir(RESULTS, { recursive: true });
  await writeFile(`${RESULTS}/${name}.json`, `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(`${RESULTS}/${name}.svg`, chartOf(report));
  await writeDocs();
  say(`Written to bench/results/${name}.json and .svg, and into docs/performance.md`);
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      sockets: { type: 'string', default: '5000' },
      messages: { type: 'string', default: '1000000' },
      minutes: { type: 'string', default: '1' },
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
    minutes: Number(values.minutes),
    contestants: values.contestants?.split(','),
    profiles: values.profiles,
    progress,
    onStop,
  };
  if (parts.some(([, part]) => !part)) {
    process.stderr.write(USAGE);
    process.exit(2);
  }
  if (bench.profiles) await mkdir(bench.profiles, { recursive: true });
  progress('compiling');
  await build();
  for (const [name, part] of parts) {
    try {
      if (part) await run(name, part, bench);
    } catch (error) {
      // What one part lacks, another may do without.
      if (isStopping()) return;
      complain(error);
      await stopAll();
    }
  }
}

await stoppingAll(main);
