/**
 * What docs/reliability.md promises. Each has its tests in test/faults, which report what they tried;
 * at the end of a run promises-reporter.ts prints one line for each.
 */
export const PROMISES = {
  stored: 'Acknowledged means stored',
  retry: 'Retrying is safe',
  fresh: 'No stale page after an acknowledgement',
  withoutRedis: 'Redis away is slower, never wrong, never down',
  withoutPostgres: 'PostgreSQL away is a clear error within 3 s',
  isolation: 'Nothing crosses users',
  database: 'The database itself refuses',
  replies: 'A partial reply is never shown as complete',
  clients: 'A slow or silent client harms nobody',
  malformed: '10,000 malformed requests harm nobody',
  pooler: 'All of it behind a transaction pooler',
  rolling: 'A rolling restart loses nothing',
  model: 'Whatever happens, the history is what a plain model says',
} as const;

export type PromiseName = keyof typeof PROMISES;

export interface Trial {
  readonly promise: PromiseName;
  readonly trials: number;
  /** What was counted, in the plural: `sends`, `terminated backends`. */
  readonly of: string;
  readonly violations: number;
}

/** Whether this run is `npm run test:faults`, and not the short form within `npm test`. */
export const isLong = process.env['FAULTS'] === 'long';

/** How often to try. */
export const times = (short: number, long: number): number => (isLong ? long : short);
