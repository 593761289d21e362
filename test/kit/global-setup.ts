import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/db/embedded/index.ts';
import { migrateDatabase } from '../../src/db/migrate.ts';
import { createLog } from '../../src/log.ts';
import { startPgbouncer } from './pgbouncer.ts';
import { buildWeb } from './web-build.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgres: { ownerUrl: string; url: string; poolerUrl: string | undefined };
  }
}

/**
 * The web client, built, and one PostgreSQL a run, with a migrated template that each test file copies
 * (see database.ts). With POOLER=pgbouncer the server works through PgBouncer in transaction mode, which
 * has fewer connections to PostgreSQL than the server to it.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await buildWeb();
  const dataDir = await mkdtemp(join(tmpdir(), 'chatkeep-test-'));
  const server = await startEmbeddedPostgres({ dataDir, log: createLog('silent') });
  const admin = postgres(server.ownerUrl, { max: 1, onnotice: () => {} });
  await admin`create database template_chatkeep`;
  await admin.end();
  const inTemplate = (url: string) =>
    Object.assign(new URL(url), { pathname: '/template_chatkeep' });
  await migrateDatabase(inTemplate(server.ownerUrl).href, inTemplate(server.url).href);
  const pooler =
    process.env['POOLER'] === 'pgbouncer'
      ? await startPgbouncer([server.url], { poolSize: 3 })
      : undefined;
  const poolerUrl = pooler && `${pooler.through(server.url)}?pgbouncer=true`;
  project.provide('postgres', { ownerUrl: server.ownerUrl, url: server.url, poolerUrl });
  return async () => {
    await pooler?.stop();
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}
