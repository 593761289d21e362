// Generates web/src/graphql/generated from schema.graphql and every graphql(`…`) in web/src; with --check,
// tells whether it is up to date. By hand, since the generator's command line does not run on Node 20.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { buildSchema, parse } from 'graphql';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = join(root, 'web/src');
const output = join(sources, 'graphql/generated');

/** The documents of a file; each is one template literal without placeholders. */
function documentsOf(text: string): string[] {
  const call = /\bgraphql\(\s*(?:\/\*\s*GraphQL\s*\*\/\s*)?`([^`]*)`/g;
  return [...text.matchAll(call)].map(([, document = '']) => document);
}

async function collect() {
  const names = await readdir(sources, { recursive: true });
  const files = names.filter((name) => /\.tsx?$/.test(name)).map((name) => join(sources, name));
  const written = files.filter((file) => !file.startsWith(output)).sort();
  const found = await Promise.all(
    written.map(async (location) =>
      documentsOf(await readFile(location, 'utf8')).map((rawSDL) => ({
        location,
        rawSDL,
        document: parse(rawSDL),
      })),
    ),
  );
  return found.flat();
}

async function generate(): Promise<{ filename: string; content: string }[]> {
  const sdl = await readFile(join(root, 'schema.graphql'), 'utf8');
  const sections = await preset.buildGeneratesSection({
    presetConfig: { fragmentMasking: { unmaskFunctionName: 'readFragment' } },
    baseOutputDir: `${output}/`,
    plugins: [],
    pluginMap: {},
    schema: parse(sdl),
    schemaAst: buildSchema(sdl),
    documents: await collect(),
    config: {
      useTypeImports: true,
      importExtension: '.ts',
      enumType: 'string-literal',
      strictScalars: true,
      scalars: { ID: 'string', DateTime: 'string', Date: 'string', JSON: 'unknown' },
    },
  });
  return Promise.all(
    sections.map(async (section) => ({
      filename: section.filename,
      content: `${(await codegen(section)).trimEnd()}\n`,
    })),
  );
}

for (const { filename, content } of await generate()) {
  const current = await readFile(filename, 'utf8').catch(() => undefined);
  if (current === content) continue;
  if (process.argv.includes('--check')) {
    console.error(`${filename} is not what the documents say: run npm run documents`);
    process.exitCode = 1;
  } else {
    await writeFile(filename, content);
  }
}
