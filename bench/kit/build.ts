import { execFile } from 'node:child_process';
import { mkdir, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = `${root}bench/dist`;

/**
 * Installs what chatkeep is measured beside, as bench/package-lock.json has it, if that has not been done.
 * All of it works with the product's own graphql: two copies refuse each other's schemas.
 */
export async function installContestants(progress: (where: string) => void): Promise<void> {
  const at = async (path: string) => (await stat(`${root}bench/${path}`)).mtimeMs;
  const installed = await at('node_modules/.package-lock.json').catch(() => 0);
  if (installed >= (await at('package-lock.json'))) return;
  progress('installing the contestants (only this once)');
  await promisify(execFile)('npm', ['ci', '--prefix', `${root}bench`], { cwd: root });
  await rm(`${root}bench/node_modules/graphql`, { recursive: true, force: true });
}

/**
 * Compiles what is measured, as `npm start` does. Through tsx it would be slower and larger: that
 * gives every closure a name of its own at run time.
 */
export async function build(): Promise<void> {
  await promisify(execFile)(process.execPath, [
    `${root}node_modules/typescript/bin/tsc`,
    ...['-p', `${root}bench/tsconfig.json`],
  ]);
  await mkdir(built, { recursive: true });
  // Where what is compiled looks for them: above itself.
  for (const name of ['drizzle', 'package.json', 'web']) {
    await rm(`${built}/${name}`, { force: true });
    await symlink(`${root}${name}`, `${built}/${name}`);
  }
}

/** Builds the product itself, the web client too, as `npm run build` does. */
export async function buildProduct(): Promise<void> {
  await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: root });
}

/** Where a file of the bench was compiled to, such as `load/events`. */
export const builtFile = (name: string): string => `${built}/bench/${name}.js`;

/** The Node to run a contestant with: PostGraphile needs 22 or newer. */
export function nodeFor(contestant: string): string {
  const isNew = Number(process.versions.node.split('.')[0]) >= 22;
  if (contestant !== 'postgraphile' || isNew) return process.execPath;
  return createRequire(`${root}bench/package.json`).resolve('node/bin/node');
}
