import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../log.ts';
import { type Acquired, acquire, DataDirInUse } from './acquire.ts';
import { type Cluster, openCluster, urlsOf } from './cluster.ts';
import { stopPostmaster } from './postmaster.ts';

export { DataDirInUse };

/** The PostgreSQL that runs with the server when no DATABASE_URL is set. */
export interface EmbeddedPostgres {
  /** The superuser's URL, for migrations. */
  readonly ownerUrl: string;
  /** For everything else: role `chatkeep`, which may log in, inherits nothing and owns nothing. */
  readonly url: string;
  /** Stops PostgreSQL in order, whether it was started or found running. Idempotent. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** The folder that keeps everything; created when it is not there. One server at a time uses it. */
  readonly dataDir: string;
  readonly log: Logger;
  /** Called with a few lines for people while the database is created, on the first start. */
  readonly onProgress?: (line: string) => void;
  /**
   * Called when, after PostgreSQL had been killed, another server took the data directory: the URLs
   * are dead from then on, and `stop()` leaves that server's PostgreSQL alone.
   */
  readonly onLost?: (error: DataDirInUse) => void;
}

/**
 * Starts PostgreSQL in `dataDir`, creating the database when there is none, or takes over the one
 * that a killed server left running. When PostgreSQL dies it is started again on the same port.
 * Rejects with DataDirInUse when another server works there.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const cluster = await openCluster(options.dataDir, options.onProgress ?? (() => {}));
  const keeper = await Keeper.start(cluster, options);
  return {
    ...urlsOf(cluster, keeper.port),
    stop: () => keeper.stop(),
  };
}

/** Keeps PostgreSQL running, and ours, until it is told to stop. */
class Keeper {
  readonly port: number;
  readonly #cluster: Cluster;
  readonly #options: EmbeddedPostgresOptions;
  readonly #stopping = new AbortController();
  readonly #watching: Promise<void>;
  /** Undefined while PostgreSQL is gone. */
  #acquired: Acquired | undefined;
  #stopped: Promise<void> | undefined;

  static async start(cluster: Cluster, options: EmbeddedPostgresOptions): Promise<Keeper> {
    const { signal } = new AbortController();
    const acquired = await acquire(cluster, { signal });
    try {
      await furnish(cluster, acquired);
    } catch (error) {
      await stopPostmaster(cluster, acquired.pid);
      await acquired.hold.release();
      throw error;
    }
    return new Keeper(cluster, options, acquired);
  }

  private constructor(cluster: Cluster, options: EmbeddedPostgresOptions, acquired: Acquired) {
    this.port = acquired.port;
    this.#cluster = cluster;
    this.#options = options;
    this.#acquired = acquired;
    this.#watching = this.#watch(acquired);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    if (!this.#acquired) return;
    // The lock goes last: until it does, nobody can take over a server that is about to end.
    try {
      await stopPostmaster(this.#cluster, this.#acquired.pid);
    } finally {
      await this.#acquired.hold.release();
    }
  }

  async #watch(first: Acquired): Promise<void> {
    const { log, onLost } = this.#options;
    const { signal } = this.#stopping;
    const stopping = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    let current = first;
    for (;;) {
      await Promise.race([current.hold.lost, stopping]);
      if (signal.aborted) return;
      this.#acquired = undefined;
      log.warn('PostgreSQL closed the connection that guards it; bringing it back.');
      try {
        current = await this.#bringBack();
      } catch (error) {
        if (signal.aborted) return;
        log.error({ err: error }, 'PostgreSQL is lost.');
        onLost?.(error as DataDirInUse);
        return;
      }
      this.#acquired = current;
      log.info({ pid: current.pid }, 'PostgreSQL is back.');
    }
  }

  /** Tries until it succeeds, is told to stop, or another server was faster. */
  async #bringBack(): Promise<Acquired> {
    const { signal } = this.#stopping;
    for (let pause = 100; ; pause = Math.min(pause * 2, 5000)) {
      try {
        return await acquire(this.#cluster, { port: this.port, signal });
      } catch (error) {
        if (signal.aborted || error instanceof DataDirInUse) throw error;
        this.#options.log.error({ err: error }, `PostgreSQL is not back; next try in ${pause} ms.`);
        await sleep(pause, undefined, { signal });
      }
    }
  }
}

/** Creates the role and the database that are still missing. */
async function furnish({ rolePassword }: Cluster, { hold: { sql } }: Acquired): Promise<void> {
  const [role] = await sql`select from pg_roles where rolname = 'chatkeep'`;
  if (!role) {
    await sql.unsafe(`create role chatkeep login noinherit password '${rolePassword}'`);
  }
  const [database] = await sql`select from pg_database where datname = 'chatkeep'`;
  if (!database) await sql.unsafe('create database chatkeep');
}
