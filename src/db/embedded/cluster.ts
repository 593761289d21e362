import { execFile } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import {
  access,
  chown,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { createRunner, type Runner } from './account.ts';
import { type Binaries, findBinaries } from './binaries.ts';
import { isAlive } from './pids.ts';

/** A PostgreSQL data directory and all that is needed to run it. */
export interface Cluster extends Passwords {
  /** The folder that the operator named, without symlinks. */
  readonly dataDir: string;
  /** PostgreSQL's own data directory in it. */
  readonly directory: string;
  readonly logFile: string;
  readonly passwordFile: string;
  readonly binaries: Binaries;
  readonly runner: Runner;
}

/** Finds the cluster in `dataDir`, or creates it; being killed meanwhile leaves nothing half done. */
export async function openCluster(
  dataDir: string,
  onProgress: (line: string) => void,
): Promise<Cluster> {
  await mkdir(resolve(dataDir), { recursive: true });
  const home = await realpath(dataDir);
  const directory = join(home, 'postgres');
  const binaries = await findBinaries();
  const runner = await createRunner(directory, [binaries.postgres, home]);
  const passwordFile = join(home, 'postgres.password');
  await removeLeftovers(home);
  const exists = await isCluster(directory);
  if (!exists) onProgress(`Creating a database in ${home} (only this once) …`);
  const ownerPassword = exists
    ? await readPassword(passwordFile)
    : await createPassword(passwordFile);
  const logFile = join(home, 'postgres.log');
  const passwords = { passwordFile, ...passwordsOf(ownerPassword) };
  const cluster = { dataDir: home, directory, logFile, ...passwords, binaries, runner };
  if (!exists) {
    await createCluster(cluster);
    onProgress(
      'Created. Back that folder up as a whole: it holds the data and the passwords to it.',
    );
  }
  return cluster;
}

interface Passwords {
  /** Of the superuser `postgres`. */
  readonly ownerPassword: string;
  /** Of the login role `chatkeep`; the owner's cannot be had from it. */
  readonly rolePassword: string;
}

/** From what stands in the password file. */
export function passwordsOf(text: string): Passwords {
  const ownerPassword = text.trim();
  const rolePassword = createHmac('sha256', ownerPassword).update('chatkeep').digest('base64url');
  return { ownerPassword, rolePassword };
}

/** Of the PostgreSQL that listens on `port`. */
export function urlsOf({ ownerPassword, rolePassword }: Passwords, port: number) {
  const at = (who: string) => `postgres://${who}@127.0.0.1:${port}/chatkeep`;
  return { ownerUrl: at(`postgres:${ownerPassword}`), url: at(`chatkeep:${rolePassword}`) };
}

/** A folder that we may not look into counts: reading its password says what is wrong. */
export const isCluster = (directory: string): Promise<boolean> =>
  access(join(directory, 'PG_VERSION')).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'EACCES',
  );

async function readPassword(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(
      `The password of the database cannot be read from ${file}: start chatkeep as the user that created it, or restore the file.`,
      { cause },
    );
  });
  return text.trim();
}

/** Of several servers that start at once, all get the same password: link(2) is exclusive. */
async function createPassword(file: string): Promise<string> {
  const draft = join(dirname(file), `${stagingName()}.draft`);
  await writeFile(draft, `${randomBytes(24).toString('base64url')}\n`, {
    mode: 0o600,
    flush: true,
  });
  await link(draft, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(draft);
  return readPassword(file);
}

async function createCluster({ directory, ...cluster }: Cluster): Promise<void> {
  const staging = join(cluster.dataDir, stagingName());
  const pwfile = `${staging}.password`;
  await mkdir(staging, { mode: 0o700 });
  await writeFile(pwfile, cluster.ownerPassword, { mode: 0o600 });
  const { account } = cluster.runner;
  if (account) {
    await chown(staging, account.uid, account.gid);
    await chown(pwfile, account.uid, account.gid);
  }
  try {
    await initdb(cluster, staging, pwfile);
    await moveInto(staging, directory);
  } finally {
    await rm(pwfile, { force: true });
    await rm(staging, { recursive: true, force: true });
  }
}

async function initdb(
  { binaries, runner }: Pick<Cluster, 'binaries' | 'runner'>,
  staging: string,
  pwfile: string,
): Promise<void> {
  const { file, args, options } = runner.command(binaries.initdb, [
    `--pgdata=${staging}`,
    '--username=postgres',
    `--pwfile=${pwfile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // The same order and the same upper case on every machine, whatever its C library.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
  ]);
  const { uid, gid, cwd, env } = options;
  await promisify(execFile)(file, args, {
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    cwd,
    env,
  }).catch((cause: { stderr?: string; message: string }) => {
    const reason = cause.stderr?.match(/initdb: error: .*/)?.[0] ?? cause.message;
    throw new Error(`The database could not be created: ${reason}`, { cause });
  });
}

async function moveInto(staging: string, directory: string): Promise<void> {
  try {
    await rename(staging, directory);
  } catch (cause) {
    // Another server was faster. Who of us works with its cluster, the lock in it decides.
    if (await isCluster(directory)) return;
    throw new Error(`${directory} is in the way: it is not a PostgreSQL data directory.`, {
      cause,
    });
  }
  await syncFolder(dirname(directory));
}

/** Makes the rename survive a power failure. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const STAGING = /^postgres\.new-(\d+)/;
const stagingName = () => `postgres.new-${process.pid}`;

/** In a container, the server that was killed had the same pid as we have: ours are leftovers too. */
async function removeLeftovers(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const pid = Number(STAGING.exec(name)?.[1]);
    if (pid && (pid === process.pid || !isAlive(pid))) {
      // An initdb that lost its server may be at work in there for another moment.
      await rm(join(home, name), { recursive: true, force: true, maxRetries: 5 });
    }
  }
}
