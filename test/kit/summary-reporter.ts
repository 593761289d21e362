import type { Reporter, TestCase, TestModule } from 'vitest/node';

/**
 * Ends a run with one plain line, and names what this machine could not test, or not at once. With
 * CI=true nothing may be left out.
 */
// biome-ignore lint/style/noDefaultExport: how vitest loads a reporter
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const broken = modules.filter((module) => module.state() === 'failed').length;
    const skipped = tests.filter((test) => test.result().state === 'skipped');
    for (const test of tests.filter((test) => test.diagnostic()?.flaky)) {
      const [error] = test.result().errors ?? [];
      print(`passed at the second try: ${nameOf(test)}: ${error?.message}`);
    }
    for (const test of skipped) print(`left out: ${nameOf(test).slice(0, 120)}`);
    if (process.env['CI'] && skipped.length > 0) process.exitCode = 1;
    const failed = count('failed') || broken;
    print(`${count('passed')} passed, ${failed} failed, ${skipped.length} skipped`);
  }
}

const nameOf = (test: TestCase) => `${test.module.moduleId.split('/').pop()} > ${test.fullName}`;

const print = (line: string) => process.stdout.write(`${line}\n`);
