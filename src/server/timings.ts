import type { Registry } from 'prom-client';

/** In seconds; each target of success.ts is one of them, so that it can be told exactly how many kept it. */
const BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

type Labels = Readonly<Record<string, string>>;

/** Counts something that began at `start`, as `performance.now()`, and has just ended. */
export type CountSince = (start: number) => void;

/**
 * A histogram of prom-client's form for what happens at every cached page: each of its series is known
 * beforehand, so that to count is to add one to a number. Its own finds the series by a text that it makes of
 * the labels each time.
 */
export function createTimings<Name extends string>(
  registry: Registry,
  { name, help }: { readonly name: string; readonly help: string },
  series: Readonly<Record<Name, Labels>>,
): Readonly<Record<Name, CountSince>> {
  const all: { readonly labels: Labels; readonly counts: Float64Array; sum: number }[] = [];
  const since: Partial<Record<Name, CountSince>> = {};
  for (const key of Object.keys(series) as Name[]) {
    // One more than there are bounds, for what took longer.
    const one = { labels: series[key], counts: new Float64Array(BOUNDS.length + 1), sum: 0 };
    all.push(one);
    since[key] = (start) => {
      const seconds = (performance.now() - start) / 1000;
      let at = 0;
      while (at < BOUNDS.length && seconds > (BOUNDS[at] as number)) at += 1;
      one.counts[at] = (one.counts[at] as number) + 1;
      one.sum += seconds;
    };
  }

  const values = () =>
    all.flatMap(({ labels, counts, sum }) => {
      let count = 0;
      const buckets = [...counts].map((more, at) => {
        count += more;
        const le = BOUNDS[at] ?? '+Inf';
        return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      ];
    });
  const metric = { name, help, type: 'histogram', aggregator: 'sum' };
  // The registry asks for no more than this of a metric.
  registry.registerMetric({
    ...metric,
    get: async () => ({ ...metric, values: values() }),
  } as never);
  return since as Record<Name, CountSince>;
}
