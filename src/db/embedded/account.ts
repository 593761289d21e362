import { execFile, type SpawnOptions } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

/** How a program of PostgreSQL is spawned: as whom, through what, with which environment. */
export interface Runner {
  /** Who owns the files, when it is not who we are. */
  readonly account: Account | undefined;
  command(file: string, args: readonly string[]): Command;
}

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly options: SpawnOptions;
}

/**
 * PostgreSQL refuses to run as root: then it runs as the owner of the cluster, as `postgres` or as
 * `nobody`, whichever is there first.
 *
 * @param cluster the data directory, which need not exist yet
 * @param places what the account has to get to: the binary first, then folders
 */
export async function createRunner(
  cluster: string,
  places: readonly [binary: string, ...folders: string[]],
): Promise<Runner> {
  const account = process.getuid?.() === 0 ? await chooseAccount(cluster) : undefined;
  const unreachable = account && (await firstUnreachable(places, account));
  const prefix = unreachable ? setpriv(account) : [];
  const owner = unreachable ? {} : { ...account };
  const options: SpawnOptions = { ...owner, cwd: safeCwd(), env: environment() };
  const runner: Runner = {
    account,
    command(file, args) {
      const [first = file, ...rest] = [...prefix, file, ...args];
      return { file: first, args: rest, options };
    },
  };
  if (unreachable) await probe(runner, places[0], unreachable);
  return runner;
}

async function chooseAccount(cluster: string): Promise<Account> {
  const owner = await stat(cluster).catch(() => undefined);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const users = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n');
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (uid && gid && uid !== '0') return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    'PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as. Start chatkeep as another user, or set DATABASE_URL.',
  );
}

async function firstUnreachable(
  places: readonly string[],
  account: Account,
): Promise<string | undefined> {
  for (const place of places) {
    for (let path = place; ; path = dirname(path)) {
      const { mode, uid, gid } = await stat(path);
      const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
      if (((mode >> shift) & 1) === 0) return path;
      if (path === dirname(path)) break;
    }
  }
  return undefined;
}

/**
 * Another user, but with root's right to pass any folder. Without no_setuid_fixup, access(2) forgets
 * that right, and PostgreSQL does not find its own programs.
 */
function setpriv({ uid, gid }: Account): string[] {
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const right = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
  return ['setpriv', ...ids, '--securebits=+no_setuid_fixup', ...right];
}

async function probe(runner: Runner, binary: string, unreachable: string): Promise<void> {
  const { file, args, options } = runner.command(binary, ['--version']);
  const { cwd, env } = options;
  await promisify(execFile)(file, args, { cwd, env }).catch((cause: unknown) => {
    throw new Error(
      `PostgreSQL refuses to run as root, and the user it would run as may not enter ${unreachable}. Use a folder that every user may enter, install setpriv (util-linux), or set DATABASE_URL.`,
      { cause },
    );
  });
}

// The folder that we were started in may be closed to the account.
const safeCwd = () => (process.platform === 'win32' ? process.cwd() : '/');

/** Only what the programs need: no PG* that would redirect them, and none of our secrets. */
function environment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'LD_LIBRARY_PATH', 'SystemRoot', 'TEMP', 'TMP'];
  const entries = kept.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(entries), LC_ALL: 'C', TZ: 'UTC' };
}
