import type { Plugin } from 'graphql-yoga';
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Registry,
} from 'prom-client';

interface Gauges {
  readonly sockets: () => number;
  readonly subscriptions: () => number;
  readonly runningReplies: () => number;
}

/** Metrics as prom-client writes them in JSON. */
export type MetricValues = readonly {
  readonly name: string;
  readonly type: string;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Record<string, string | number>>;
    readonly metricName?: string;
  }[];
}[];

/** Where several processes share a port: whoever is asked answers for all. */
export interface MetricTotals {
  /** How to read this process' own. */
  share(own: () => Promise<MetricValues>): void;
  read(): Promise<MetricValues>;
}

/** What `/metrics` tells; labels are of our own making, never a user's. */
export function createMetrics(totals?: MetricTotals) {
  const registry = new Registry();
  // Its default wakes the process 100 times a second to measure how late it wakes.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  const requests = new Counter({
    name: 'chatkeep_http_requests_total',
    help: 'Requests to /graphql, by status and what the page cache did.',
    labelNames: ['status', 'cache'],
    registers: [registry],
  });
  const front = new Counter({
    name: 'chatkeep_front_hits_total',
    help: 'Cached pages that were answered in front of the engine; they are counted as requests too.',
    registers: [registry],
  });
  const duration = new Histogram({
    name: 'chatkeep_http_request_duration_seconds',
    help: 'How long a request to /graphql took, streams left out.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const own = async () => (await registry.getMetricsAsJSON()) as unknown as MetricValues;
  totals?.share(own);
  const starts = new WeakMap<Request, number>();

  const plugin: Plugin = {
    onRequest({ request }) {
      starts.set(request, performance.now());
    },
    onResponse({ request, response }) {
      const cacheStatus = response.headers.get('cache-status') ?? '';
      const cache = /hit|fwd=[\w-]+/.exec(cacheStatus)?.[0].replace('fwd=', '') ?? 'none';
      const start = /event-stream|multipart/.test(typeOf(response))
        ? undefined
        : starts.get(request);
      count(response.status, cache, start);
    },
  };

  function count(status: number, cache: string, start: number | undefined): void {
    requests.inc({ status, cache });
    if (start !== undefined) duration.observe((performance.now() - start) / 1000);
  }

  return {
    plugin,
    /** A hit that was answered in front of the engine, begun at `start` as `performance.now()`. */
    countFrontHit(status: number, start: number): void {
      front.inc();
      count(status, 'hit', start);
    },
    contentType: registry.contentType,
    print: async (): Promise<string> =>
      totals ? sumOf([await totals.read()]).metrics() : registry.metrics(),
    /** Once it serves. */
    watch({ sockets, subscriptions, runningReplies }: Gauges): void {
      const gauge = (name: string, help: string, read: () => number) =>
        new Gauge({
          name,
          help,
          registers: [registry],
          collect() {
            this.set(read());
          },
        });
      gauge('chatkeep_processes', 'Processes that share the port.', () => 1);
      gauge('chatkeep_websockets', 'Open WebSockets.', sockets);
      gauge('chatkeep_subscriptions', 'Running subscriptions.', subscriptions);
      gauge('chatkeep_replies_running', 'Replies being written.', runningReplies);
    },
  };
}

/** Each metric by its own rule: counters are added, lags averaged. */
export const addMetrics = async (parts: readonly MetricValues[]): Promise<MetricValues> =>
  (await sumOf(parts).getMetricsAsJSON()) as unknown as MetricValues;

const sumOf = (parts: readonly MetricValues[]) => AggregatorRegistry.aggregate([...parts] as never);

const typeOf = (response: Response) => response.headers.get('content-type') ?? '';

export type Metrics = ReturnType<typeof createMetrics>;
