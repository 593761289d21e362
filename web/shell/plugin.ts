import { readFile } from 'node:fs/promises';
import type { Plugin } from 'vite';

/** Builds `sw.js`: the worker (see worker.js) and the names of all assets that this build has. */
export function shell(): Plugin {
  return {
    name: 'chatkeep:shell',
    apply: 'build',
    generateBundle: {
      order: 'post',
      async handler(_, bundle) {
        const assets = Object.keys(bundle).filter((name) => name.startsWith('assets/'));
        const list = JSON.stringify(assets.sort().map((name) => `/${name}`));
        const worker = await readFile(new URL('worker.js', import.meta.url), 'utf8');
        const source = `const ASSETS = ${list};\n${worker}`;
        this.emitFile({ type: 'asset', fileName: 'sw.js', source });
      },
    },
  };
}
