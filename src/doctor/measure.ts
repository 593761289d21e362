import { type Finding, look, ok } from './finding.ts';

/** How far away a server is, in space and in time. */
export interface Distance {
  /** The median. */
  readonly roundTripMs: number;
  /** How far its clock is before ours, as if read halfway through the shortest round trip. */
  readonly aheadMs: number;
  /** How much that can be off. */
  readonly uncertainMs: number;
}

const SAMPLES = 7;

/** Asks a server some times for its clock, in ms since 1970. */
export async function measureDistance(readClock: () => Promise<number>): Promise<Distance> {
  const samples: { tookMs: number; aheadMs: number }[] = [];
  for (let n = 0; n < SAMPLES; n += 1) {
    const ours = Date.now();
    const from = performance.now();
    const theirs = await readClock();
    const tookMs = performance.now() - from;
    samples.push({ tookMs, aheadMs: theirs - (ours + tookMs / 2) });
  }
  samples.sort((a, b) => a.tookMs - b.tookMs);
  const shortest = samples[0] as (typeof samples)[number];
  const median = samples[Math.floor(SAMPLES / 2)] as (typeof samples)[number];
  return {
    roundTripMs: median.tookMs,
    aheadMs: shortest.aheadMs,
    // Date.now() is cut to whole ms.
    uncertainMs: shortest.tookMs / 2 + 1,
  };
}

const FAR_MS = 20;
const WRONG_MS = 1_000;

export function roundTripFinding({ roundTripMs }: Distance): Finding {
  const value = inMs(roundTripMs);
  if (roundTripMs <= FAR_MS) return ok('round trip', value);
  return look('round trip', value, 'Every request pays for it: run chatkeep nearer to it.');
}

export function clockFinding({ aheadMs, uncertainMs }: Distance): Finding {
  const size = Math.abs(aheadMs);
  if (size <= uncertainMs) return ok('clock', `as ours (± ${inMs(uncertainMs)})`);
  const value = `${inMs(size)} ${aheadMs > 0 ? 'ahead of' : 'behind'} ours (± ${inMs(uncertainMs)})`;
  if (size - uncertainMs <= WRONG_MS) return ok('clock', value);
  return look(
    'clock',
    value,
    'Have NTP set both: Supabase dates tokens, this machine lets them run out, PostgreSQL dates messages.',
  );
}

export function inMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(0)} s`;
}
