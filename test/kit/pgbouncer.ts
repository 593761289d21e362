import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';

const binary = ['pgbouncer', '/usr/sbin/pgbouncer'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** Whether this machine can run the tests that need PgBouncer. */
export const pgbouncerAvailable = binary !== undefined;

export interface Pgbouncer {
  /** The same database as the same user, through it. */
  through(url: string): string;
  stop(): Promise<void>;
}

interface PgbouncerOptions {
  readonly mode?: 'transaction' | 'session' | 'statement';
  /** Connections to each database; default 10. */
  readonly poolSize?: number;
}

/** A pooler in front of the server of these URLs, which all lead to the same one. */
export async function startPgbouncer(
  urls: readonly string[],
  { mode = 'transaction', poolSize = 10 }: PgbouncerOptions = {},
): Promise<Pgbouncer> {
  const dir = await mkdtemp(join(tmpdir(), 'chatkeep-pgbouncer-'));
  await chmod(dir, 0o755);
  const port = await freePort();
  const servers = urls.map((url) => new URL(url));
  const users = servers.map(({ username, password }) => `"${username}" "${password}"`);
  const config = join(dir, 'pgbouncer.ini');
  const userlist = join(dir, 'userlist.txt');
  await writeFile(userlist, `${[...new Set(users)].join('\n')}\n`);
  await writeFile(
    config,
    `[databases]
* = host=127.0.0.1 port=${servers[0]?.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${userlist}
pool_mode = ${mode}
max_client_conn = 500
default_pool_size = ${poolSize}
server_idle_timeout = 5
server_login_retry = 0.1
`,
  );
  const child = spawn(binary as string, [config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // It refuses to run as root.
    ...(process.getuid?.() === 0 && (await accountOf('nobody'))),
  });
  const exited = once(child, 'exit');
  let said = '';
  for await (const text of child.stderr) {
    said += text;
    if (/process up/.test(said)) break;
  }
  if (!/process up/.test(said)) throw new Error(`PgBouncer did not start: ${said}`);
  child.stderr.resume();
  return {
    through: (url) => Object.assign(new URL(url), { port: String(port) }).href,
    async stop() {
      child.kill('SIGKILL');
      await exited;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function accountOf(name: string): Promise<{ uid: number; gid: number }> {
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n');
  const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}
