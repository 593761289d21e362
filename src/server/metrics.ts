import type { Plugin } from 'graphql-yoga';
import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { PageKey } from '../cache/cache.ts';
import { createTimings } from './timings.ts';

interface Gauges {
  readonly connections: () => Promise<number>;
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
    collect: tellHits,
  });
  const frontHits = new Counter({
    name: 'chatkeep_front_hits_total',
    help: 'Cached pages that were answered in front of the engine; they are counted as requests too.',
    registers: [registry],
    collect: tellHits,
  });
  const frontMisses = new Counter({
    name: 'chatkeep_front_misses_total',
    help: 'Pages that were not in the cache and were answered in front of the engine, likewise.',
    registers: [registry],
  });
  const { answered } = createTimings(
    registry,
    {
      name: 'chatkeep_http_request_duration_seconds',
      help: 'How long a request to /graphql took, streams left out.',
    },
    { answered: {} },
  );
  new Gauge({
    name: 'chatkeep_start_time_seconds',
    help: 'When the process started; of several, the one that runs for the longest.',
    aggregator: 'min',
    registers: [registry],
  }).set(Date.now() / 1000 - process.uptime());
  const pages = createTimings(
    registry,
    {
      name: 'chatkeep_page_duration_seconds',
      help: 'How long an answer with a page took, by what it was and whether the cache had it.',
    },
    {
      historyHit: { operation: 'history', cache: 'hit' },
      historyMiss: { operation: 'history', cache: 'miss' },
      searchHit: { operation: 'search', cache: 'hit' },
      searchMiss: { operation: 'search', cache: 'miss' },
    },
  );
  const { sent } = createTimings(
    registry,
    {
      name: 'chatkeep_send_duration_seconds',
      help: 'How long it took to store a new message and to tell of it; the reply comes after that.',
    },
    { sent: {} },
  );
  const { leaseMoved } = createTimings(
    registry,
    {
      name: 'chatkeep_lease_move_duration_seconds',
      help: 'How long it took after a change until no page from before it was served any more.',
    },
    { leaseMoved: {} },
  );
  const own = async () => (await registry.getMetricsAsJSON()) as unknown as MetricValues;
  totals?.share(own);
  const read = totals?.read ?? own;
  const starts = new WeakMap<Request, number>();

  const plugin: Plugin = {
    onRequest({ request }) {
      starts.set(request, performance.now());
    },
    onResponse({ request, response }) {
      const cacheStatus = response.headers.get('cache-status') ?? '';
      const start = /event-stream|multipart/.test(typeOf(response))
        ? undefined
        : starts.get(request);
      count(response.status, cacheStatus, start);
    },
  };

  /** What is most frequent is counted here, and told when somebody asks: labels cost more than numbers. */
  let untoldHits = 0;
  function tellHits(): void {
    requests.inc({ status: 200, cache: 'hit' }, untoldHits);
    frontHits.inc(untoldHits);
    untoldHits = 0;
  }

  /** A page without errors, whose request began at `start`. */
  function countPage({ prefix }: Pick<PageKey, 'prefix'>, isHit: boolean, start: number): void {
    if (prefix === 'chat:history') (isHit ? pages.historyHit : pages.historyMiss)(start);
    else (isHit ? pages.searchHit : pages.searchMiss)(start);
  }

  function count(status: number, cacheStatus: string, start: number | undefined): void {
    const cache = /hit|fwd=[\w-]+/.exec(cacheStatus)?.[0].replace('fwd=', '') ?? 'none';
    requests.inc({ status, cache });
    if (start !== undefined) answered(start);
  }

  return {
    plugin,
    /** A page that was answered in front of the engine, begun at `start` as `performance.now()`. */
    countFront(
      status: number,
      cacheStatus: string,
      page: Pick<PageKey, 'prefix'>,
      start: number,
    ): void {
      const isHit = cacheStatus === 'hit';
      countPage(page, isHit, start);
      if (isHit && status === 200) {
        untoldHits += 1;
        answered(start);
        return;
      }
      (isHit ? frontHits : frontMisses).inc();
      count(status, cacheStatus, start);
    },
    countPage,
    /** A new message that was stored and told of. */
    sent,
    /** The lease of a change that was moved. */
    leaseMoved,
    /** As they are now; of several processes, their sum. */
    read,
    contentType: registry.contentType,
    print: async (): Promise<string> =>
      totals ? sumOf([await read()]).metrics() : registry.metrics(),
    /** Once it serves. */
    watch({ connections, sockets, subscriptions, runningReplies }: Gauges): void {
      const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
        new Gauge({
          name,
          help,
          registers: [registry],
          async collect() {
            this.set(await read());
          },
        });
      gauge('chatkeep_processes', 'Processes that share the port.', () => 1);
      gauge('chatkeep_connections', 'Open connections of clients.', connections);
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
