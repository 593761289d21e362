import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { migrationsFolder } from '../db/migrate.ts';
import type { Looker } from './connection.ts';
import { type Finding, fault, look, ok } from './finding.ts';

interface Applied {
  readonly hash: string;
  /** When it was generated, which is its name to drizzle. */
  readonly when: number;
}

/** Our migrations against those that the database has. */
export async function lookAtMigrations(
  owner: Looker,
): Promise<{ finding: Finding; isPending: boolean }> {
  const [there] = await owner.read<{ found: boolean }>(
    (sql) => sql`select to_regclass('drizzle.__drizzle_migrations') is not null as found`,
  );
  const applied = there?.found
    ? await owner.read<Applied>(
        (sql) => sql`select hash, created_at::float8 as when from drizzle.__drizzle_migrations`,
      )
    : [];
  const ours = await ourMigrations();
  return { finding: compare(ours, applied), isPending: applied.length < ours.length };
}

async function ourMigrations() {
  const journal = await readFile(join(migrationsFolder, 'meta', '_journal.json'), 'utf8');
  const { entries } = JSON.parse(journal) as { entries: { tag: string }[] };
  return readMigrationFiles({ migrationsFolder }).map(({ hash, folderMillis }, i) => ({
    hash,
    when: folderMillis,
    tag: entries[i]?.tag ?? '',
  }));
}

function compare(
  ours: Awaited<ReturnType<typeof ourMigrations>>,
  applied: readonly Applied[],
): Finding {
  const subject = 'migrations';
  const hashes = new Map(applied.map(({ hash, when }) => [when, hash]));
  const known = new Set(ours.map(({ when }) => when));
  const last = Math.max(0, ...hashes.keys());
  const missing = ours.filter(({ when }) => !hashes.has(when));
  const skipped = missing.filter(({ when }) => when < last);
  const unknown = applied.filter(({ when }) => !known.has(when));
  const changed = ours.filter(({ when, hash }) => (hashes.get(when) ?? hash) !== hash);
  const tags = (some: readonly { tag: string }[]) => some.map(({ tag }) => tag).join(', ');

  if (unknown.length > 0) {
    return fault(
      subject,
      `the database is newer: it has ${unknown.length} that this code does not know`,
      'Run the chatkeep that made them, or a newer one.',
    );
  }
  if (skipped.length > 0) {
    return fault(
      subject,
      `never applied, though later ones were: ${tags(skipped)}`,
      'The start applies only what is newer than the last one: restore the database, or apply it by hand.',
    );
  }
  if (changed.length > 0) {
    return look(
      subject,
      `applied with another text: ${tags(changed)}`,
      'A migration that has been released is not to be edited: compare drizzle/ with the release.',
    );
  }
  if (missing.length > 0) {
    return look(
      subject,
      applied.length === 0
        ? `none of ${ours.length} applied yet`
        : `${missing.length} pending: ${tags(missing)}`,
      'The next npm start applies them.',
    );
  }
  return ok(subject, `all ${ours.length} applied`);
}
