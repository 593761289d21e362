// Prints the schema to schema.graphql; with --check, tells whether that file is up to date.
import { readFile, writeFile } from 'node:fs/promises';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from '../src/schema/index.ts';

const file = new URL('../schema.graphql', import.meta.url);
const printed = `${printSchema(lexicographicSortSchema(schema))}\n`;

if (process.argv.includes('--check')) {
  if ((await readFile(file, 'utf8')) !== printed) {
    console.error('schema.graphql is not what the code says: run npm run schema:print');
    process.exitCode = 1;
  }
} else {
  await writeFile(file, printed);
}
