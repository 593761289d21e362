import type { Chatkeep } from '../chatkeep.ts';
import type { MetricTotals, MetricValues } from '../server/metrics.ts';
import type { FromPrimary, FromWorker } from './messages.ts';

/*
 * A worker's side. That the primary has gone needs no handling here: Node ends a worker whose channel
 * closes.
 */

const tell = (message: FromWorker) => process.send?.(message);

export function tellServing({ url, parts }: Chatkeep): void {
  tell({ kind: 'serving', url, parts });
}

/** The figures of all workers, added up by the primary. */
export function createTotalsOfWorkers(): MetricTotals {
  const asked = new Map<number, (values: MetricValues) => void>();
  let own: () => Promise<MetricValues> = async () => [];
  let asks = 0;
  process.on('message', (message: FromPrimary) => {
    if (message.kind === 'collect') own().then((values) => tell({ kind: 'values', values }));
    if (message.kind !== 'total') return;
    asked.get(message.id)?.(message.values);
    asked.delete(message.id);
  });
  return {
    share(read) {
      own = read;
    },
    read: () =>
      new Promise((resolve) => {
        asks += 1;
        asked.set(asks, resolve);
        tell({ kind: 'total', id: asks });
      }),
  };
}
