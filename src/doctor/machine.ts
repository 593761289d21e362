import { constants } from 'node:fs';
import { access, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Env } from '../env.ts';
import { attempt } from './attempt.ts';
import { type Examination, type Finding, fault, look, ok } from './finding.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A socket is a file; one process was measured with 20,000 of them (docs/scaling.md). */
const FILES = 10_000;

export const machineExamination: Examination = {
  name: 'This machine',
  async run(env, note) {
    await attempt('Node', note, nodeFinding);
    await attempt('open files', note, filesFinding);
    await attempt('build', note, buildFinding);
    if (needsDataDir(env)) await attempt('data directory', note, () => dataDirFindings(env));
  },
};

const needsDataDir = ({ database, supabase }: Env): boolean =>
  !database || !(supabase.url || supabase.jwtSecret);

async function nodeFinding(): Promise<Finding> {
  const { engines } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [needsMajor = 0, needsMinor = 0] = engines.node.replace('>=', '').split('.').map(Number);
  const enough = major > needsMajor || (major === needsMajor && minor >= needsMinor);
  if (enough) return ok('Node', process.versions.node);
  return fault('Node', process.versions.node, `chatkeep needs Node ${engines.node}.`);
}

/** Node itself has raised the soft limit to the hard one. */
async function filesFinding(): Promise<Finding | Finding[]> {
  if (process.platform !== 'linux') return [];
  const limits = await readFile('/proc/self/limits', 'utf8');
  const text = /^Max open files\s+(\w+)/m.exec(limits)?.[1] ?? 'unknown';
  if (text === 'unlimited' || Number(text) >= FILES) return ok('open files', text);
  const advice =
    'Each open page takes one: raise the limit (ulimit -n, LimitNOFILE=) for the server.';
  return look('open files', `${text} at most`, advice);
}

/** Whether what `npm start` compiles is there, and from these sources. */
async function buildFinding(): Promise<Finding> {
  const server = await changed(join(root, 'dist', 'main.js'));
  const page = await changed(join(root, 'dist', 'web', 'index.html'));
  if (!server || !page) return ok('build', 'none yet: npm start makes it');
  const sources = await Promise.all([newest(join(root, 'src')), newest(join(root, 'web'))]);
  if (sources[0] <= server && sources[1] <= page) return ok('build', 'of these sources');
  const advice = 'What runs is not what stands here: npm start builds it anew.';
  return look('build', 'older than the sources', advice);
}

const changed = (path: string): Promise<number> =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );

/** When the last of the files in a folder was changed; 0 where there is none. */
async function newest(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile());
  const times = await Promise.all(
    files.map(({ parentPath, name }) => changed(join(parentPath, name))),
  );
  return Math.max(0, ...times);
}

async function dataDirFindings({ dataDir }: Env): Promise<Finding[]> {
  const path = resolve(dataDir);
  const subject = 'data directory';
  const there = await nearest(path);
  const isWritable = await access(there, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!isWritable) {
    const advice = 'Give it to the user that the server runs as, or name another in DATA_DIR.';
    return [fault(subject, `${there} is not writable`, advice)];
  }
  if (there !== path) return [ok(subject, `${path}, not there yet: the first start makes it`)];
  return [ok(subject, path), ...(await secretFindings(path))];
}

/** The folder, or the nearest above it that is there. */
async function nearest(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found || path === dirname(path) ? path : nearest(dirname(path));
}

async function secretFindings(dataDir: string): Promise<Finding[]> {
  const path = join(dataDir, 'postgres.password');
  const found = await stat(path).catch(() => undefined);
  if (!found || process.platform === 'win32' || (found.mode & 0o077) === 0) return [];
  const shown = (found.mode & 0o777).toString(8);
  const advice = `Who reads it may read every message: chmod 600 ${path}`;
  return [look('database password', `${path} is open to others (mode ${shown})`, advice)];
}
