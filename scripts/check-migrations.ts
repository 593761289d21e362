// Tells whether drizzle/ holds all of src/db/schema.ts: generating must find nothing to do.
import { execFileSync } from 'node:child_process';

const output = execFileSync('npx', ['drizzle-kit', 'generate', '--name', 'missing'], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
});
if (!output.includes('No schema changes')) {
  console.error('drizzle/ lacked a migration; the one it needs was generated just now.');
  process.exitCode = 1;
}
