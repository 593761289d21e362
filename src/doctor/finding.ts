import type { Env } from '../env.ts';

/** In the order of their weight: as it should be; works, but look at it; does not run right. */
export const VERDICTS = ['ok', 'look', 'fault'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** One thing that was looked at. Neither text ever holds a secret, or what a user wrote. */
export interface Finding {
  readonly subject: string;
  readonly value: string;
  readonly verdict: Verdict;
  /** What to do about it: with everything that is not ok. */
  readonly advice?: string;
}

export const ok = (subject: string, value: string): Finding => ({ subject, value, verdict: 'ok' });

export const look = (subject: string, value: string, advice: string): Finding => ({
  subject,
  value,
  verdict: 'look',
  advice,
});

export const fault = (subject: string, value: string, advice: string): Finding => ({
  subject,
  value,
  verdict: 'fault',
  advice,
});

/** Takes findings as they are made: what was found before a time limit is not lost. */
export type Note = (...findings: Finding[]) => void;

/** Looks at one part of the installation, and changes nothing in it. */
export interface Examination {
  readonly name: string;
  /** @param signal aborted when the time is over; connections are then to be closed */
  run(env: Env, note: Note, signal: AbortSignal): Promise<void>;
}
