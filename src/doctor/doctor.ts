import { EnvError, readEnv } from '../env.ts';
import { accountsExamination } from './accounts.ts';
import { examineAll, worstOf } from './examine.ts';
import { machineExamination } from './machine.ts';
import { modelExamination } from './model.ts';
import { postgresExamination } from './postgres.ts';
import { redisExamination } from './redis.ts';
import { printTable } from './table.ts';

const EXAMINATIONS = [
  machineExamination,
  postgresExamination,
  redisExamination,
  modelExamination,
  accountsExamination,
];

export interface Diagnosis {
  readonly output: string;
  /** 0: it runs, with things to look at or without; 1: a fault; 2: the environment itself is not right. */
  readonly exitCode: 0 | 1 | 2;
}

/**
 * Looks at everything that the environment names, and changes nothing.
 *
 * @param limitMs how long each part may take; all are looked at together
 */
export async function diagnose(
  environment: NodeJS.ProcessEnv,
  form: 'table' | 'coloured table' | 'JSON',
  limitMs?: number,
): Promise<Diagnosis> {
  let env: ReturnType<typeof readEnv>;
  try {
    env = readEnv(environment);
  } catch (error) {
    if (!(error instanceof EnvError)) throw error;
    const { faults } = error;
    const lines = faults.map((line) => `chatkeep: ${line}`).join('\n');
    return { output: form === 'JSON' ? print({ verdict: 'fault', faults }) : lines, exitCode: 2 };
  }
  const sections = await examineAll(env, EXAMINATIONS, limitMs);
  const verdict = worstOf(sections);
  return {
    output:
      form === 'JSON'
        ? print({ verdict, sections })
        : printTable(sections, form === 'coloured table'),
    exitCode: verdict === 'fault' ? 1 : 0,
  };
}

const print = (value: object): string => JSON.stringify(value, null, 2);
