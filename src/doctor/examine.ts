import type { Env } from '../env.ts';
import { type Examination, type Finding, fault, VERDICTS, type Verdict } from './finding.ts';
import { reasonOf } from './reason.ts';

/** How long one examination may take; all of them run at once. */
const LIMIT_MS = 8_000;

/** What was found in one part. */
export interface Section {
  readonly name: string;
  readonly findings: readonly Finding[];
}

/** All examinations at once, each within its time: one that fails or hangs hides nothing of the others. */
export function examineAll(
  env: Env,
  examinations: readonly Examination[],
  limitMs = LIMIT_MS,
): Promise<Section[]> {
  return Promise.all(examinations.map((one) => examine(env, one, limitMs)));
}

async function examine(env: Env, { name, run }: Examination, limitMs: number): Promise<Section> {
  const findings: Finding[] = [];
  const controller = new AbortController();
  const { signal } = controller;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      findings.push(
        fault('time', `no answer within ${limitMs / 1000} s`, 'The rest could not be looked at.'),
      );
      resolve();
    }, limitMs);
  });
  const note = (...more: Finding[]) => {
    if (!signal.aborted) findings.push(...more);
  };
  const done = run(env, note, signal).catch((error: unknown) => {
    note(fault('examination', `broke off: ${reasonOf(error)}`, 'The rest could not be looked at.'));
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
  controller.abort();
  return { name, findings };
}

/** The gravest verdict there is. */
export function worstOf(sections: readonly Section[]): Verdict {
  const verdicts = sections.flatMap(({ findings }) => findings.map(({ verdict }) => verdict));
  return VERDICTS.findLast((verdict) => verdicts.includes(verdict)) ?? 'ok';
}
