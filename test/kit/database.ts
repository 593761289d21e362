import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';

export interface TestDatabase {
  readonly ownerUrl: string;
  /** With POOLER=pgbouncer it leads through PgBouncer. */
  readonly url: string;
}

export interface FreshDatabase extends TestDatabase {
  /** Past any pooler: for what is about the connection itself. */
  readonly directUrl: string;
}

/** A fresh, migrated database of this test file's own. */
export async function createTestDatabase({ migrated = true } = {}): Promise<FreshDatabase> {
  const server = inject('postgres');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const template = migrated ? 'template_chatkeep' : 'template0';
  const admin = postgres(server.ownerUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${name} template ${template}`);
  await admin.end();
  const inside = (url: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href;
  const directUrl = inside(server.url);
  const url = server.poolerUrl ? inside(server.poolerUrl) : directUrl;
  return { ownerUrl: inside(server.ownerUrl), url, directUrl };
}
