import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const vite = join(
  dirname(createRequire(import.meta.url).resolve('vite/package.json')),
  'bin/vite.js',
);

const changedAt = (path: string) => stat(join(root, path)).then(({ mtimeMs }) => mtimeMs);

/** Builds the web client as `npm run build` does, unless what is built is newer than its sources. */
export async function buildWeb(): Promise<void> {
  // Folders are among them: they change when a file goes.
  const sources = (await readdir(join(root, 'web'), { recursive: true })).map(
    (name) => `web/${name}`,
  );
  const built = await changedAt('dist/web/index.html').catch(() => 0);
  const changes = await Promise.all([...sources, 'package-lock.json'].map(changedAt));
  if (built > Math.max(...changes)) return;
  // A process of its own: Vitest sets NODE_ENV to test, and React would come with all its warnings.
  await promisify(execFile)(process.execPath, [vite, 'build', 'web', '--logLevel', 'warn'], {
    cwd: root,
    env: { ...process.env, NODE_ENV: 'production' },
  });
}
