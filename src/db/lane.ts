import net from 'node:net';
import postgres from 'postgres';

/** A statement as it goes to the server; `rows` says whether they come as arrays or objects. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly unknown[];
  readonly rows: 'arrays' | 'objects';
}

export interface LaneOptions {
  readonly url: string;
  /** Named prepared statements; false behind a transaction pooler. */
  readonly prepare: boolean;
  /** How long opening may take, in ms. */
  readonly connectTimeoutMs: number;
}

// Drizzle encodes and decodes these itself; postgres.js would cut timestamps to milliseconds and
// encode JSON a second time (drizzle-orm does the same in its own postgres-js driver).
const asIs = (value: unknown) => value;
const types = {
  instants: { to: 1184, from: [1082, 1083, 1114, 1182, 1184, 1186], serialize: asIs, parse: asIs },
  json: { to: 3802, from: [114, 3802], serialize: asIs, parse: asIs },
};

/**
 * One connection that is never reopened. Whatever is sent on it after it broke fails, where
 * postgres.js would send it on a new connection: outside of the transaction that it was meant for,
 * without the claims (porsager/postgres#1216, #1155). That holds by construction: the client gets
 * its socket from us, once.
 */
export class Lane {
  #open = true;
  /** Tells the transaction under way that its connection is gone. */
  #lose: () => void = () => {};
  readonly #sql: postgres.Sql;
  #socket: net.Socket | undefined;

  private constructor(options: LaneOptions) {
    this.#sql = postgres(options.url, {
      max: 1,
      prepare: options.prepare,
      fetch_types: false,
      idle_timeout: 0,
      max_lifetime: null,
      connect_timeout: options.connectTimeoutMs / 1000,
      onnotice: () => {},
      onclose: () => {
        this.#open = false;
        this.#lose();
      },
      connection: { application_name: 'chatkeep', TimeZone: 'UTC' },
      types,
      socket: async ({ host, port, path }: { host: string[]; port: number[]; path?: string }) => {
        if (this.#socket !== undefined) throw new Error('This lane is closed.');
        this.#socket = path ? net.connect(path) : net.connect(port[0] ?? 5432, host[0]);
        this.#socket.setNoDelay(true).setKeepAlive(true, 30_000);
        await connected(this.#socket, options.connectTimeoutMs);
        // Where postgres.js looks for the name to check a certificate against.
        return Object.assign(this.#socket, { host: host[0], port: port[0] });
      },
    } as unknown as postgres.Options<Record<string, never>>);
  }

  static async open(options: LaneOptions): Promise<Lane> {
    const lane = new Lane(options);
    try {
      await lane.#sql`select 1`;
      return lane;
    } catch (error) {
      lane.destroy();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Sends BEGIN, the statements and COMMIT in one go and answers the statements' rows. Rejects with
   * the first statement's error (nothing is stored then), or when the connection is lost (then it is
   * unknown whether it was stored).
   */
  async transaction(statements: readonly Statement[]): Promise<unknown[][]> {
    if (!this.#open) throw new ConnectionLost();
    const lost = new Promise<undefined>((resolve) => {
      this.#lose = () => resolve(undefined);
    });
    const begin = this.#send({ sql: 'begin', params: [], rows: 'objects' });
    const sent = statements.map((statement) => this.#send(statement));
    const commit = this.#send({ sql: 'commit', params: [], rows: 'objects' });
    const settled = Promise.allSettled([begin, ...sent, commit]);
    const outcome = await Promise.race([settled, lost]);
    if (outcome === undefined) throw new ConnectionLost();
    const failures = outcome.filter((result) => result.status === 'rejected');
    if (failures.length > 0) {
      // What follows the first error only says that the transaction is aborted.
      throw failures[0]?.reason;
    }
    return Promise.all(sent);
  }

  #send(statement: Statement): Promise<unknown[]> {
    // With parameters or not, everything but BEGIN and COMMIT is prepared: one round trip each
    // (drizzle-team/drizzle-orm#6096).
    const simple = statement.sql === 'begin' || statement.sql === 'commit';
    const query = this.#sql.unsafe(
      statement.sql,
      [...statement.params] as never[],
      {
        prepare: !simple,
        simple,
      } as postgres.UnsafeQueryOptions,
    );
    const ready = statement.rows === 'arrays' ? query.values() : query;
    return ready.execute() as unknown as Promise<unknown[]>;
  }

  /** Drops the connection at once. */
  destroy(): void {
    this.#open = false;
    this.#socket?.destroy();
    this.#sql.end({ timeout: 0 }).catch(() => {});
  }

  /** Closes an idle connection in order. */
  async close(): Promise<void> {
    this.#open = false;
    await this.#sql.end({ timeout: 1 });
  }
}

/** The connection went away under a transaction; whether it was committed is not known. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  readonly code = 'CONNECTION_LOST';

  constructor() {
    super('The connection to PostgreSQL was lost.');
  }
}

function connected(socket: net.Socket, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new ConnectionLost()), timeoutMs);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve();
    });
  });
}
