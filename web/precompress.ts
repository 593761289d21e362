import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import type { Plugin } from 'vite';

// index.html is not among them: the server fills in its settings first.
const COMPRESSIBLE = /\.(js|css|svg|json|webmanifest)$/;

/** Writes `.br` and `.gz` beside what was built, as small as they get: it is done once, and sent often. */
export function precompress(): Plugin {
  let output: string;
  return {
    name: 'chatkeep:precompress',
    apply: 'build',
    configResolved({ root, build }) {
      output = join(root, build.outDir);
    },
    async closeBundle() {
      const names = await readdir(output, { recursive: true });
      await Promise.all(
        names.filter((name) => COMPRESSIBLE.test(name)).map((name) => compress(join(output, name))),
      );
    },
  };
}

async function compress(path: string): Promise<void> {
  const body = await readFile(path);
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(body),
    promisify(gzip)(body, { level: 9 }),
  ]);
  await Promise.all([
    br.length < body.length && writeFile(`${path}.br`, br),
    gz.length < body.length && writeFile(`${path}.gz`, gz),
  ]);
}
