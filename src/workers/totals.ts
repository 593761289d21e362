import { addMetrics, type MetricValues } from '../server/metrics.ts';

/**
 * Adds up the workers' figures. What a worker has counted stays counted once it is gone, and while it does
 * not answer: a sum of counters that goes down is taken for a restart of all of them, and what the others
 * had counted would be counted again.
 */
export function createTotals() {
  const latest = new Map<number, MetricValues>();
  let departed: MetricValues = [];
  let leaving = Promise.resolve();

  async function fold(worker: number): Promise<void> {
    const counted = (latest.get(worker) ?? []).filter(isCounted);
    departed = await addMetrics([departed, counted]);
    latest.delete(worker);
  }

  return {
    note(worker: number, values: MetricValues): void {
      latest.set(worker, values);
    },
    /** One after the other, so that none is lost. */
    leave(worker: number): void {
      leaving = leaving.then(() => fold(worker));
    },
    async read(): Promise<MetricValues> {
      await leaving;
      return addMetrics([departed, ...latest.values()]);
    },
  };
}

const isCounted = ({ type }: MetricValues[number]) => type === 'counter' || type === 'histogram';
