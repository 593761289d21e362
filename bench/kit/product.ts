import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Database } from './database.ts';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** The built product as `npm start` runs it, a process of its own. */
export async function startProduct(
  { url, ownerUrl, dataDir }: Database,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const child = spawn(process.execPath, [main], {
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_ENV: 'production',
      PORT: '0',
      DATA_DIR: dataDir,
      DATABASE_URL: url,
      MIGRATION_DATABASE_URL: ownerUrl,
      LOG_LEVEL: 'warn',
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = once(child, 'exit');
  for await (const line of createInterface(child.stdout)) {
    const serving = /^chatkeep: (http:\/\/\S+)$/.exec(line)?.[1];
    if (!serving) continue;
    child.stdout.resume();
    return {
      url: serving,
      async stop() {
        child.kill('SIGTERM');
        await gone;
      },
    };
  }
  throw new Error('The product ended before it served.');
}
