import { readFile } from 'node:fs/promises';

const manifest = new URL('../../package.json', import.meta.url);

/** What runs here. */
export async function readVersion(): Promise<string> {
  return (JSON.parse(await readFile(manifest, 'utf8')) as { version: string }).version;
}
