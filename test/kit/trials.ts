import { expect, type TestContext } from 'vitest';
import type { PromiseName, Trial } from './promises.ts';

declare module 'vitest' {
  interface TaskMeta {
    trials?: Trial[];
  }
}

/**
 * Notes for the table how often a promise was put to the test, and fails where it was broken.
 *
 * @param violations one line each, in words that help to find the fault
 */
export function report(
  { task }: Pick<TestContext, 'task'>,
  promise: PromiseName,
  count: { readonly trials: number; readonly of: string; readonly violations: readonly string[] },
): void {
  const { trials, of, violations } = count;
  task.meta.trials ??= [];
  task.meta.trials.push({ promise, trials, of, violations: violations.length });
  expect(violations.slice(0, 20)).toEqual([]);
  expect(trials, `no ${of} were tried`).toBeGreaterThan(0);
}
