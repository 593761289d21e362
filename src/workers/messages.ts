import type { MetricValues } from '../server/metrics.ts';

/** What a worker tells the primary. */
export type FromWorker =
  | {
      readonly kind: 'serving';
      readonly url: string;
      readonly parts: Readonly<Record<string, string>>;
    }
  /** Its own figures, asked for by `collect`. */
  | { readonly kind: 'values'; readonly values: MetricValues }
  /** Asks for everybody's figures. */
  | { readonly kind: 'total'; readonly id: number };

/** What the primary tells a worker. */
export type FromPrimary =
  | { readonly kind: 'collect' }
  | { readonly kind: 'total'; readonly id: number; readonly values: MetricValues };
