import postgres from 'postgres';
import { poolerOptions } from '../db/pooler.ts';

type Rows<T> = (sql: postgres.TransactionSql) => PromiseLike<readonly T[]>;

/** A connection that can change nothing, through whatever stands between. */
export interface Looker {
  readonly url: string;
  /** One statement in a transaction of its own that is read only; as another role if that is named. */
  read<T>(rows: Rows<T>, role?: string): Promise<readonly T[]>;
  /** PostgreSQL's clock, in one round trip. */
  clock(): Promise<number>;
  /** Which process of PostgreSQL answers now, and which one was announced when the connection was made. */
  backend(): Promise<{ readonly answers: number; readonly announced: number }>;
  close(): void;
}

const CONNECT_S = 3;
const STATEMENT_MS = 2_000;

export function openLooker(url: string, signal: AbortSignal): Looker {
  const sql = postgres(poolerOptions(url).url, {
    max: 1,
    // Named statements would stay behind on a pooler's connections.
    prepare: false,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: CONNECT_S,
    onnotice: () => {},
    connection: { application_name: 'chatkeep doctor' },
  });
  const close = () => void sql.end({ timeout: 0 }).catch(() => {});
  signal.addEventListener('abort', close, { once: true });

  return {
    url,
    async read<T>(rows: Rows<T>, role = 'none') {
      // In a box: postgres.js takes an array for several queries.
      const { found } = await sql.begin('read only', async (tx) => {
        await tx`select set_config('statement_timeout', ${`${STATEMENT_MS}`}, true),
          set_config('role', ${role}, true)`;
        return { found: await rows(tx) };
      });
      return found;
    },
    async clock() {
      const [row] = await sql<{ ms: number }[]>`
        select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`;
      return row?.ms ?? Number.NaN;
    },
    async backend() {
      const rows = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
      return { answers: rows[0]?.pid ?? 0, announced: rows.state.pid };
    },
    close,
  };
}
