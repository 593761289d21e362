import type { MetricValues } from './metrics.ts';

/** One of the product's success metrics: what was promised, and what was measured since the start. */
export interface Success {
  readonly name: string;
  readonly about: string;
  readonly unit: 'share' | 'seconds';
  /** A share has to be above it, 95 of 100 times below it. */
  readonly target: number;
  /** The share, or the time that 95 of 100 kept to, estimated within a bucket; null: nothing yet. */
  readonly measured: number | null;
  /** Of how many. */
  readonly count: number;
  /** Times: the share that kept to the target, counted. */
  readonly within: number | null;
  readonly kept: boolean | null;
}

type Labels = Readonly<Record<string, string>>;

const PAGES = 'chatkeep_page_duration_seconds';

const TIMES = [
  {
    name: 'historyHit',
    about: 'A page of the history, from the cache',
    metric: PAGES,
    labels: { operation: 'history', cache: 'hit' },
    target: 0.01,
  },
  {
    name: 'historyMiss',
    about: 'A page of the history, from PostgreSQL',
    metric: PAGES,
    labels: { operation: 'history', cache: 'miss' },
    target: 1,
  },
  {
    name: 'searchHit',
    about: 'A search, from the cache',
    metric: PAGES,
    labels: { operation: 'search', cache: 'hit' },
    target: 0.01,
  },
  {
    name: 'send',
    about: 'A message stored, without the time of the model',
    metric: 'chatkeep_send_duration_seconds',
    labels: {},
    target: 0.05,
  },
  {
    name: 'invalidation',
    about: 'Old pages made void after a change',
    metric: 'chatkeep_lease_move_duration_seconds',
    labels: {},
    target: 0.05,
  },
] as const;

export function successOf(values: MetricValues): readonly Success[] {
  return [hitRate(values), ...TIMES.map((time) => timeOf(values, time))];
}

function hitRate(values: MetricValues): Success {
  const hits = countOf(values, PAGES, { cache: 'hit' });
  const count = hits + countOf(values, PAGES, { cache: 'miss' });
  const target = 0.7;
  const measured = count === 0 ? null : hits / count;
  return {
    name: 'cacheHitRate',
    about: 'Pages and searches that came from the cache',
    unit: 'share',
    target,
    measured,
    count,
    within: null,
    kept: measured === null ? null : measured > target,
  };
}

function timeOf(values: MetricValues, time: (typeof TIMES)[number]): Success {
  const { name, about, metric, labels, target } = time;
  const count = countOf(values, metric, labels);
  const known = { name, about, unit: 'seconds', target, count } as const;
  if (count === 0) return { ...known, measured: null, within: null, kept: null };
  const buckets = seriesOf(values, metric, `${metric}_bucket`, labels).map(
    ({ labels: { le }, value }) => ({ upTo: le === '+Inf' ? Infinity : Number(le), value }),
  );
  const inTime = buckets.find(({ upTo }) => upTo === target)?.value ?? 0;
  return {
    ...known,
    measured: quantile(buckets, 0.95 * count),
    within: inTime / count,
    kept: inTime >= 0.95 * count,
  };
}

/** Where in its bucket the one of that rank lies, as though they lay evenly; cumulative buckets, rising. */
function quantile(buckets: readonly { upTo: number; value: number }[], rank: number): number {
  let below = { upTo: 0, value: 0 };
  for (const bucket of buckets) {
    if (bucket.value >= rank) {
      if (bucket.upTo === Infinity) return below.upTo;
      const part = (rank - below.value) / (bucket.value - below.value);
      return below.upTo + part * (bucket.upTo - below.upTo);
    }
    below = bucket;
  }
  return below.upTo;
}

const countOf = (values: MetricValues, metric: string, labels: Labels): number =>
  seriesOf(values, metric, `${metric}_count`, labels).reduce((sum, { value }) => sum + value, 0);

const seriesOf = (values: MetricValues, metric: string, series: string, labels: Labels) =>
  (values.find(({ name }) => name === metric)?.values ?? []).filter(
    (one) =>
      one.metricName === series &&
      Object.entries(labels).every(([name, value]) => one.labels[name] === value),
  );
