import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { isCluster, passwordsOf, urlsOf } from './cluster.ts';
import { findPostmaster } from './pids.ts';

export type Found =
  | { readonly state: 'none' | 'stopped' }
  /** It runs, or may, but is another user's. */
  | { readonly state: 'closed' }
  | { readonly state: 'running'; readonly ownerUrl: string; readonly url: string };

/** Looks whether a server's PostgreSQL runs in `dataDir`, without taking hold of it or starting one. */
export async function findEmbedded(dataDir: string): Promise<Found> {
  const home = await realpath(dataDir).catch(() => undefined);
  if (home === undefined || !(await isCluster(join(home, 'postgres')))) return { state: 'none' };
  const password = await readFile(join(home, 'postgres.password'), 'utf8').catch(() => undefined);
  if (password === undefined) return { state: 'closed' };
  const running = await findPostmaster(join(home, 'postgres'));
  if (!running) return { state: 'stopped' };
  return { state: 'running', ...urlsOf(passwordsOf(password), running.port) };
}
