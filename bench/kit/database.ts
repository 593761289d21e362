import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../src/db/embedded/index.ts';
import { migrateDatabase, migrationsFolder } from '../../src/db/migrate.ts';
import { createLog } from '../../src/log.ts';

export interface Database {
  readonly ownerUrl: string;
  readonly url: string;
  readonly dataDir: string;
  /** Runs the migrations that are left. */
  migrate(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A PostgreSQL of the bench's own, migrated.
 *
 * @param before only with the migrations before this one, such as `0008`, to see what that does to a full table
 */
export async function startDatabase({ before }: { before?: string } = {}): Promise<Database> {
  const dataDir = await mkdtemp(join(tmpdir(), 'chatkeep-bench-'));
  const log = createLog('silent');
  const { ownerUrl, url, stop } = await startEmbeddedPostgres({ dataDir, log });
  const migrateAll = async () => void (await migrateDatabase(ownerUrl, url));
  await (before ? migrateBefore(before, ownerUrl, dataDir) : migrateAll());
  return {
    ownerUrl,
    url,
    dataDir,
    migrate: migrateAll,
    async stop() {
      await stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function migrateBefore(before: string, ownerUrl: string, dataDir: string): Promise<void> {
  const folder = join(dataDir, 'migrations');
  await cp(migrationsFolder, folder, { recursive: true });
  const journal = join(folder, 'meta/_journal.json');
  const all = JSON.parse(await readFile(journal, 'utf8')) as { entries: { tag: string }[] };
  const entries = all.entries.filter(({ tag }) => tag < before);
  await writeFile(journal, JSON.stringify({ ...all, entries }));
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  await migrate(drizzle(sql), { migrationsFolder: folder });
  await sql.end();
}
