import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { isLong, PROMISES, type PromiseName, type Trial } from './promises.ts';

/**
 * Ends a run of test/faults with the table of docs/reliability.md: what was promised, how often it was
 * tried, how often it was broken. In the long form a promise that nothing tried is a failure.
 */
// biome-ignore lint/style/noDefaultExport: how vitest loads a reporter
export default class PromisesReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules
      .filter(({ moduleId }) => moduleId.includes('/test/faults/'))
      .flatMap((module) => [...module.children.allTests()]);
    if (tests.length === 0) return;
    print('| # | promise | test | trials | violations |');
    print('| --- | --- | --- | --- | --- |');
    for (const [i, name] of (Object.keys(PROMISES) as PromiseName[]).entries()) {
      const of = tests.filter((test) => trialsOf(test, name).length > 0);
      const trials = of.flatMap((test) => trialsOf(test, name));
      const broken = trials.reduce((sum, { violations }) => sum + violations, 0);
      const failed = of.some((test) => test.result().state === 'failed');
      if (isLong && trials.length === 0) process.exitCode = 1;
      const cells = [
        i + 1,
        PROMISES[name],
        [...new Set(of.map(fileOf))].join(', ') || 'not tried',
        sums(trials),
        failed && broken === 0 ? 'a test failed' : broken,
      ];
      print(`| ${cells.join(' | ')} |`);
    }
  }
}

const trialsOf = (test: TestCase, name: PromiseName): readonly Trial[] =>
  (test.meta().trials ?? []).filter(({ promise }) => promise === name);

const fileOf = (test: TestCase): string => test.module.moduleId.split('/').at(-1) ?? '';

/** The trials, added up by what was counted. */
function sums(trials: readonly Trial[]): string {
  const counts = new Map<string, number>();
  for (const { of, trials: n } of trials) counts.set(of, (counts.get(of) ?? 0) + n);
  return [...counts].map(([of, n]) => `${n.toLocaleString('en')} ${of}`).join(', ');
}

const print = (line: string) => process.stdout.write(`${line}\n`);
