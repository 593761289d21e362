import { rm } from 'node:fs/promises';
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
    async terminateBackends() {
      const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
      try {
        const ended = await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'chatkeep'`;
        return ended.length;
      } finally {
        await sql.end({ timeout: 1 });
      }
    },
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
