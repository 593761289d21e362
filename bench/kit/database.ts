import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/db/embedded/index.ts';
import { migrateDatabase } from '../../src/db/migrate.ts';
import { createLog } from '../../src/log.ts';

export interface Database {
  readonly ownerUrl: string;
  readonly url: string;
  readonly dataDir: string;
  stop(): Promise<void>;
}

/** A PostgreSQL of the bench's own, migrated. */
export async function startDatabase(): Promise<Database> {
  const dataDir = await mkdtemp(join(tmpdir(), 'chatkeep-bench-'));
  const log = createLog('silent');
  const { ownerUrl, url, stop } = await startEmbeddedPostgres({ dataDir, log });
  await migrateDatabase(ownerUrl, url);
  return {
    ownerUrl,
    url,
    dataDir,
    async stop() {
      await stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
