import { rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { openCluster } from '../../src/db/embedded/cluster.ts';
import { readPidFile } from '../../src/db/embedded/pids.ts';
import { launchPostmaster, stopPostmaster } from '../../src/db/embedded/postmaster.ts';
import { migrateDatabase } from '../../src/db/migrate.ts';
import { gone, kill, newFolder, processesOf } from './embedded-servers.ts';
import { freePort } from './ports.ts';

/** A PostgreSQL of a test's own, to be hurt: nobody brings it back but the test. */
export interface PostgresServer {
  /** Of the login role that owns nothing, in a migrated database. */
  readonly url: string;
  readonly ownerUrl: string;
  /** Laid out as the embedded one's. */
  readonly dataDir: string;
  /** SIGSTOP to all of its processes: connections stay, nothing answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** SIGKILL to all of its processes. */
  kill(): Promise<void>;
  /** As `pg_ctl -m immediate stop` does: every backend quits where it stands. */
  stopAtOnce(): Promise<void>;
  /** Again on the same port; resolves once it takes connections, crash recovery included. */
  start(): Promise<void>;
  /** Refuses all changes from now on, or no more; what is under way may still be stored. */
  setReadOnly(readOnly: boolean): Promise<void>;
  /**
   * As if its disk were full, for messages of more than 2,000 bytes that do not compress: where those
   * would go leads to /dev/full. To be called before there are any.
   */
  fillDisk(): Promise<void>;
  makeRoom(): Promise<void>;
  /** `pg_terminate_backend` for all that the server has open; answers how many there were. */
  terminateBackends(): Promise<number>;
  stop(): Promise<void>;
}

export async function startPostgres(): Promise<PostgresServer> {
  const dataDir = await newFolder();
  const cluster = await openCluster(dataDir, () => {});
  const port = await freePort();
  const start = () => launchPostmaster(cluster, port, new AbortController().signal);
  const at = (who: string, database = 'chatkeep') =>
    `postgres://${who}@127.0.0.1:${port}/${database}`;
  const ownerUrl = at(`postgres:${cluster.ownerPassword}`);
  const url = at(`chatkeep:${cluster.rolePassword}`);

  const signal = async (name: NodeJS.Signals) => {
    for (const pid of await processesOf(dataDir)) kill(pid, name);
  };

  async function asOwner<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
    try {
      // Also while it is read-only.
      await sql`set default_transaction_read_only = off`;
      return await work(sql);
    } finally {
      await sql.end({ timeout: 1 });
    }
  }

  const terminateBackends = () =>
    asOwner(async (sql) => {
      const ended = await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'chatkeep'`;
      return ended.length;
    });

  /** Where PostgreSQL puts the messages that are too long for a row. */
  async function longTexts(): Promise<string> {
    const [row] = await asOwner(
      (sql) => sql`select pg_relation_filepath(reltoastrelid) as path
        from pg_class where oid = 'public.chat_history'::regclass`,
    );
    return join(cluster.directory, String(row?.['path']));
  }

  await start();
  const setup = postgres(at(`postgres:${cluster.ownerPassword}`, 'postgres'), {
    max: 1,
    onnotice: () => {},
  });
  await setup.unsafe(`create role chatkeep login noinherit password '${cluster.rolePassword}'`);
  await setup`create database chatkeep`;
  await setup.end();
  await migrateDatabase(ownerUrl, url);

  return {
    url,
    ownerUrl,
    dataDir,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async kill() {
      const pids = await processesOf(dataDir);
      for (const pid of pids) kill(pid);
      await gone(pids);
    },
    async stopAtOnce() {
      const pids = await processesOf(dataDir);
      process.kill(pids[0] as number, 'SIGQUIT');
      await gone(pids);
    },
    start,
    async setReadOnly(readOnly) {
      await asOwner(async (sql) => {
        await sql.unsafe(`alter system set default_transaction_read_only = ${readOnly}`);
        await sql`select pg_reload_conf()`;
      });
    },
    async fillDisk() {
      const file = await longTexts();
      await rename(file, `${file}.aside`);
      await symlink('/dev/full', file);
    },
    async makeRoom() {
      const file = await longTexts();
      await rename(`${file}.aside`, file);
      // They keep open what was there before.
      await terminateBackends();
    },
    terminateBackends,
    async stop() {
      const found = await readPidFile(cluster.directory);
      if (found) {
        await signal('SIGCONT');
        await stopPostmaster(cluster, found.pid);
      }
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
