import { execFile } from 'node:child_process';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = `${root}dist/bench`;

/**
 * Compiles what is measured, as `npm start` does. Through tsx it would be slower and larger: that
 * gives every closure a name of its own at run time.
 */
export async function build(): Promise<void> {
  await promisify(execFile)(process.execPath, [
    `${root}node_modules/typescript/bin/tsc`,
    ...['-p', `${root}bench/tsconfig.json`],
  ]);
  // Where the compiled migrations look for theirs.
  await mkdir(built, { recursive: true });
  await rm(`${built}/drizzle`, { force: true });
  await symlink(`${root}drizzle`, `${built}/drizzle`);
}

/** Builds the product itself, the web client too, as `npm run build` does. */
export async function buildProduct(): Promise<void> {
  await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: root });
}

/** Where a file of the bench was compiled to, such as `load/events`. */
export const builtFile = (name: string): string => `${built}/bench/${name}.js`;
