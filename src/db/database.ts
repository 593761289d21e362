import type { SQLWrapper } from 'drizzle-orm';
import { drizzle, type PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { Pool } from 'tarn';
import { unauthenticated, unavailable } from '../errors.ts';
import { ConnectionLost, Lane, type Statement } from './lane.ts';
import { poolerOptions } from './pooler.ts';

export type QueryBuilder = PgRemoteDatabase<Record<string, never>>;

/** A Drizzle query that has not been sent: a builder, or `db.execute(sql…)`. */
interface Query<T> extends SQLWrapper {
  execute(): Promise<T>;
}

/** A statement whose text is there already. */
export interface Prepared<T> {
  readonly sql: string;
  readonly params: readonly unknown[];
  /** What its rows say; each comes as an array. */
  read(rows: readonly unknown[][]): T;
}

type Work<T> = Query<T> | Prepared<T>;

type Results<Q extends readonly Work<unknown>[]> = {
  -readonly [K in keyof Q]: Q[K] extends Query<infer T> | Prepared<infer T> ? T : never;
};

/** Whose rights a unit of work has: what PostgREST would put into `request.jwt.claims`. */
export interface Claims {
  readonly sub: string;
  readonly email?: string | undefined;
}

export interface Database {
  /**
   * The only way to a user's data: all queries in one transaction, sent at once, as role
   * `authenticated` with the user's claims. Nothing of one user's is visible to another, also when a
   * query forgets to ask. Rejects with SERVICE_UNAVAILABLE when PostgreSQL does not answer in time.
   */
  asUser<const Q extends readonly Work<unknown>[]>(
    claims: Claims,
    build: (db: QueryBuilder) => Q,
  ): Promise<Results<Q>>;
  /** As role `chatkeep_worker`, which sees the leases of running replies and no texts. */
  asWorker<const Q extends readonly Work<unknown>[]>(
    build: (db: QueryBuilder) => Q,
  ): Promise<Results<Q>>;
  /** Whether PostgreSQL answers. */
  ping(): Promise<boolean>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  /** Connections; default 10. */
  readonly lanes?: number;
  /** How long a unit of work may take in all, waiting for a lane included; default 3,000 ms. */
  readonly timeoutMs?: number;
}

/**
 * PostgreSQL through lanes: a pool of connections of which each carries one unit of work at a time,
 * and which are thrown away once they saw a connection-level error (docs/decisions).
 */
export function createDatabase(options: DatabaseOptions): Database {
  const { lanes = 10, timeoutMs = 3000 } = options;
  const { url, prepare } = poolerOptions(options.url);
  const pool = new Pool<Lane>({
    create: () =>
      Lane.open({
        url,
        prepare,
        connectTimeoutMs: timeoutMs,
      }),
    validate: (lane) => lane.isOpen,
    destroy: (lane) => (lane.isOpen ? lane.close() : lane.destroy()),
    min: 0,
    max: lanes,
    idleTimeoutMillis: 60_000,
    acquireTimeoutMillis: timeoutMs,
    createTimeoutMillis: timeoutMs,
    // PostgreSQL away is an answer, not a reason to wait.
    propagateCreateError: true,
  });

  async function unitOfWork<Q extends readonly Work<unknown>[]>(
    role: string,
    claims: Claims | undefined,
    build: (db: QueryBuilder) => Q,
  ): Promise<Results<Q>> {
    const compiled = await compile(build);
    const statements = [identity(role, claims, timeoutMs), ...compiled.statements];
    const [, ...rows] = await onLane(statements);
    return compiled.finish(rows) as Promise<Results<Q>>;
  }

  async function onLane(statements: readonly Statement[]): Promise<unknown[][]> {
    const deadline = Date.now() + timeoutMs;
    const lane = await pool.acquire().promise.catch((error: unknown) => {
      throw unavailable(error);
    });
    const timer = setTimeout(() => lane.destroy(), Math.max(1, deadline - Date.now()));
    try {
      return await lane.transaction(statements);
    } catch (error) {
      if (isUnknownUser(error)) throw unauthenticated('This account does not exist any more.');
      if (!isUnavailable(error)) throw error;
      lane.destroy();
      throw unavailable(error);
    } finally {
      clearTimeout(timer);
      pool.release(lane);
    }
  }

  return {
    asUser: (claims, build) => unitOfWork('authenticated', claims, build),
    asWorker: (build) => unitOfWork('chatkeep_worker', undefined, build),
    async ping() {
      const alive = onLane([{ sql: 'select 1', params: [], rows: 'arrays' }]);
      return alive.then(
        () => true,
        () => false,
      );
    },
    async close() {
      await pool.destroy();
    },
  };
}

/**
 * Role and claims for the rest of the transaction, in one statement; and how long it may last: one that a
 * process began and was frozen in would hold the user's locks for as long. Waiting for the values of a statement
 * that it has just described, it is not even idle to PostgreSQL: from version 17 on, that ends it all the same.
 */
function identity(role: string, claims: Claims | undefined, timeoutMs: number): Statement {
  return {
    sql: IDENTITY,
    params: [
      role,
      claims ? JSON.stringify({ sub: claims.sub, email: claims.email, role, aud: role }) : '',
      String(timeoutMs),
      // A second more than we give it ourselves: it is for those who cannot give up any more.
      String(timeoutMs + 1_000),
    ],
    rows: 'arrays',
  };
}

/** Before version 17 the last one is a setting of ours, which nothing looks at. */
const IDENTITY = `select set_config('role', $1, true), set_config('request.jwt.claims', $2, true),
  set_config('statement_timeout', $3, true), set_config('idle_in_transaction_session_timeout', $3, true),
  set_config(case when current_setting('server_version_num')::int >= 170000 then 'transaction_timeout'
    else 'chatkeep.transaction_timeout' end, $4, true)`;

interface Compiled {
  readonly statements: Statement[];
  finish(rows: readonly unknown[][]): Promise<unknown[]>;
}

/**
 * Lets Drizzle build all statements before a lane is taken, and map their rows once they are there.
 * Drizzle hands a query to its driver some microtasks after `execute()`; here the driver only writes
 * it down, one query after the other, so that order and completeness are certain before BEGIN is
 * sent.
 */
async function compile(build: (db: QueryBuilder) => readonly Work<unknown>[]): Promise<Compiled> {
  const statements: Statement[] = [];
  const readers: ((rows: unknown[]) => unknown)[] = [];
  let answer: (rows: unknown[]) => void = () => {};
  let noted: () => void = () => {};
  const db = drizzle((text, params, method) => {
    statements.push({ sql: text, params, rows: method === 'execute' ? 'objects' : 'arrays' });
    noted();
    return new Promise<{ rows: unknown[] }>((resolve) => {
      answer = (rows) => resolve({ rows });
    });
  });
  for (const work of build(db as QueryBuilder)) {
    if ('read' in work) {
      statements.push({ sql: work.sql, params: work.params, rows: 'arrays' });
      readers.push((rows) => work.read(rows as unknown[][]));
      continue;
    }
    const note = new Promise<void>((resolve) => {
      noted = resolve;
    });
    const result = work.execute();
    // A query that cannot be built rejects before it is noted.
    await Promise.race([note, result]);
    const answerThis = answer;
    readers.push((rows) => {
      answerThis(rows);
      return result;
    });
  }
  return {
    statements,
    finish: (rows) => Promise.all(readers.map((read, i) => read(rows[i] ?? []))),
  };
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const RETRYABLE = new Set([
  '25P03', // idle_in_transaction_session_timeout
  '25P04', // transaction_timeout
  '25006', // read_only_sql_transaction: a standby, or a primary that ran out of disk
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '53100', // disk_full
  '53200', // out_of_memory
  '53300', // too_many_connections
  '57014', // query_canceled: our statement_timeout
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
]);

/** What chatkeep.open_history() raises for a user who is not in Supabase's auth.users. */
function isUnknownUser(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '28000';
}

function isUnavailable(error: unknown): boolean {
  if (error instanceof ConnectionLost) return true;
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return false;
  // Class 08 is PostgreSQL's, CONNECTION_* postgres.js', E* Node's.
  return RETRYABLE.has(code) || /^(08|CONNECT|E[A-Z]{3,})/.test(code);
}
