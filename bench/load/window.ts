import { atMost } from '../../src/timers.ts';
import { percentile } from '../kit/statistics.ts';

/** Who waits so long for a delivery takes it for lost. */
const PATIENCE_MS = 10_000;

/** What was published, and how long it took until each device had it. */
export interface Window {
  readonly published: number;
  readonly deliveries: number;
  readonly lost: number;
  readonly p50: number;
  readonly p99: number;
  readonly seconds: number;
}

/** Numbers given to events so far, in all windows. */
let numbers = 0;

/** Gathers how long events take that carry a number in their text. */
export function createWindow() {
  const first = numbers;
  const began = performance.now();
  const sentAt: number[] = [];
  const latencies: number[] = [];
  let expected = 0;
  let wake = () => {};
  return {
    next: () => numbers++,
    sent(n: number, deliveries: number): void {
      expected += deliveries;
      sentAt[n - first] = performance.now();
    },
    received(n: number): void {
      const at = sentAt[n - first];
      if (at === undefined) return;
      latencies.push(performance.now() - at);
      if (latencies.length === expected) wake();
    },
    /** Waits for what has been sent. */
    async all(): Promise<void> {
      if (latencies.length === expected) return;
      const arrived = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await atMost(PATIENCE_MS, arrived);
    },
    result(): Window {
      latencies.sort((a, b) => a - b);
      return {
        published: sentAt.length,
        deliveries: latencies.length,
        lost: expected - latencies.length,
        p50: percentile(latencies, 0.5),
        p99: percentile(latencies, 0.99),
        seconds: (performance.now() - began) / 1000,
      };
    },
  };
}

export type OpenWindow = ReturnType<typeof createWindow>;
