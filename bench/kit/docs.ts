import { readFile, writeFile } from 'node:fs/promises';
import type { Report } from './bench.ts';
import { linesOf, short, tableOf } from './report.ts';

const DOCS = new URL('../../docs/performance.md', import.meta.url);

/** `<!-- bench: part: what stands in the figure's name -->` … `<!-- end -->` */
const PLACE = /<!-- bench: (\w+)(?:: (.+?))? -->\n[\s\S]*?<!-- end -->/g;

interface Result extends Report {
  readonly at: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string };
  readonly rounds: number;
  readonly seconds: number;
}

/** What the product was asked to reach, and which figure of which part says whether it does. */
const METRICS: readonly (readonly [what: string, target: string, part: string, figure: string])[] =
  [
    ['cache hit rate', '> 70 %', 'mixed', 'reads from the cache'],
    ['history hit', '< 10 ms', 'connections', '10 connections: p99'],
    ['history miss', '< 1 s', 'history', 'history miss: p99'],
    ["send, without the model's time", '< 50 ms', 'sending', 'stored: p99'],
    ['search hit', '< 10 ms', 'search', 'over HTTP, from the cache, heavy user: p99'],
    ['invalidation', '< 50 ms', 'invalidation', '1,000,000 keys in Redis: p99'],
  ];

/** Writes the tables of docs/performance.md anew, from what bench/results has; the words stay. */
export async function writeDocs(): Promise<void> {
  const text = await readFile(DOCS, 'utf8');
  const results = new Map<string, Result | undefined>();
  const parts = [...text.matchAll(PLACE)].map(([, part]) => part as string);
  for (const part of [...parts, ...METRICS.map(([, , part]) => part)]) {
    results.set(part, await resultOf(part));
  }
  const written = text.replaceAll(PLACE, (place, part: string, only?: string) => {
    const [mark] = place.split('\n');
    const content = part === 'metrics' ? metricsOf(results) : contentOf(results.get(part), only);
    return `${mark}\n${content}\n<!-- end -->`;
  });
  await writeFile(DOCS, written);
}

async function resultOf(part: string): Promise<Result | undefined> {
  const path = new URL(`../results/${part}.json`, import.meta.url);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Result);
}

function contentOf(result: Result | undefined, only?: string): string {
  if (!result) return 'Not measured yet.';
  const table = tableOf(result, { spread: false, ...(only && { only }) });
  if (only) return table;
  const contestants = Object.entries(result.contestants).map(
    ([as, what]) => `- **${as}**: ${what}`,
  );
  const notes = result.notes.map((note) => `- ${note}`);
  const { at, machine, rounds, seconds } = result;
  const where = `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ${at.slice(0, 10)}, ${rounds} rounds of ${seconds} s.`;
  return [table, '', ...contestants, ...notes, `- ${where}`].join('\n');
}

function metricsOf(results: ReadonlyMap<string, Result | undefined>): string {
  const rows = METRICS.map(([what, target, part, figure]) => {
    const result = results.get(part);
    const line = result && linesOf(result).find(({ name }) => name === figure);
    const cell = line?.cells[result?.promised ?? 'chatkeep'];
    const value = cell && line ? `${short(cell.median)} ${line.unit}` : 'not measured yet';
    return `| ${what} | ${target} | ${value} | ${part}: ${figure} |`;
  });
  return ['| | target | measured | figure |', '| --- | --: | --: | --- |', ...rows].join('\n');
}
