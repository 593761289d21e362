import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';

export interface TestDatabase {
  readonly ownerUrl: string;
  /** With POOLER=pgbouncer it leads through PgBouncer. */
  readonly url: string;
}

/** A fresh, migrated database of this test file's own. */
export async function createTestDatabase({ migrated = true } = {}): Promise<TestDatabase> {
  const server = inject('postgres');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const template = migrated ? 'template_chatkeep' : 'template0';
  const admin = postgres(server.ownerUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${name} template ${template}`);
  await admin.end();
  const inside = (url: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href;
  return { ownerUrl: inside(server.ownerUrl), url: inside(server.poolerUrl ?? server.url) };
}

/** Past any pooler: for what is about the connection itself. */
export function directUrlOf({ url }: TestDatabase): string {
  const { pathname } = new URL(url);
  return Object.assign(new URL(inject('postgres').url), { pathname }).href;
}
