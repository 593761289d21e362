import { resolve } from 'node:path';
import { findEmbedded } from '../db/embedded/find.ts';
import { poolerOptions } from '../db/pooler.ts';
import type { Env } from '../env.ts';
import { attempt } from './attempt.ts';
import { type Looker, openLooker } from './connection.ts';
import { type Examination, type Finding, fault, look, type Note, ok } from './finding.ts';
import { loginFindings } from './login.ts';
import { clockFinding, inMs, measureDistance, roundTripFinding } from './measure.ts';
import { lookAtMigrations } from './migrations.ts';
import { placeOf } from './place.ts';
import { directFinding, poolerFinding } from './pooling.ts';
import { reasonOf } from './reason.ts';
import { rowSecurityFinding } from './row-security.ts';
import { extensionsFinding, searchFinding } from './search.ts';
import { connectionsFinding, serverFindings } from './server.ts';
import { leasesFinding, sizeFinding, structureFindings } from './tables.ts';

export const postgresExamination: Examination = {
  name: 'PostgreSQL',
  async run(env, note, signal) {
    const urls = env.database ?? (await embeddedUrls(env, note));
    if (!urls) return;
    const { url, ownerUrl } = urls;
    const [ours, owners] = await Promise.all([
      reach(url, 'DATABASE_URL', signal),
      ownerUrl === url ? undefined : reach(ownerUrl, 'MIGRATION_DATABASE_URL', signal),
    ]);
    note(ours.finding, ...(owners ? [owners.finding] : []));
    const login = ours.looker;
    const owner = owners ? owners.looker : login;
    const either = login ?? owner;
    if (!either) return;

    if (login) await examineWay(login, !poolerOptions(url).prepare, note, signal);
    const state = await stateOf(either, owner, note);
    if (login) {
      await attempt('server', note, () => serverFindings(login));
      await attempt('login role', note, () => loginFindings(login, state !== 'empty'));
    }
    if (owner && env.database) {
      await attempt('migrations by', note, () => directFinding(ownerUrl, signal));
    }
    await attempt('extensions', note, () => extensionsFinding(either, state === 'complete'));
    if (state !== 'empty') await examineTables(either, state === 'complete', note);
  },
};

/** Of the PostgreSQL that runs with a server, if it does; nothing is started for a look. */
async function embeddedUrls({ dataDir }: Env, note: Note) {
  const found = await findEmbedded(dataDir);
  const subject = 'embedded';
  const where = resolve(dataDir);
  if (found.state === 'running') {
    note(ok(subject, `runs in ${where}`));
    return found;
  }
  if (found.state === 'closed') {
    const advice = 'Look as the user that started it, or as root.';
    note(look(subject, `its password in ${where} cannot be read`, advice));
  } else if (found.state === 'stopped') {
    note(look(subject, `not running; its data are in ${where}`, 'It starts with npm start.'));
  } else {
    const advice = 'The first npm start makes it; or name another PostgreSQL in DATABASE_URL.';
    note(look(subject, `none yet in ${where}`, advice));
  }
  return undefined;
}

async function reach(
  url: string,
  variable: 'DATABASE_URL' | 'MIGRATION_DATABASE_URL',
  signal: AbortSignal,
): Promise<{ finding: Finding; looker?: Looker }> {
  const subject = variable === 'DATABASE_URL' ? 'reachable' : 'owner reachable';
  const looker = openLooker(url, signal);
  const from = performance.now();
  try {
    await looker.clock();
    const tookMs = performance.now() - from;
    return { finding: ok(subject, `${placeOf(url)}, in ${inMs(tookMs)}`), looker };
  } catch (error) {
    looker.close();
    const advice = `Without it nothing works: start it, or set ${variable} right.`;
    return { finding: fault(subject, `${placeOf(url)}: ${reasonOf(error)}`, advice) };
  }
}

/** What a request pays for before PostgreSQL works for it. */
async function examineWay(
  login: Looker,
  isPooled: boolean,
  note: Note,
  signal: AbortSignal,
): Promise<void> {
  const distance = await measureDistance(login.clock);
  note(roundTripFinding(distance), clockFinding(distance));
  await attempt('pooler', note, () => poolerFinding(login.url, signal));
  if (!isPooled) await attempt('connections', note, () => connectionsFinding(login));
}

/** How much of chatkeep the database has; `partial` until the next start. */
async function stateOf(
  either: Looker,
  owner: Looker | undefined,
  note: Note,
): Promise<'empty' | 'partial' | 'complete'> {
  let isPending = false;
  if (owner) {
    await attempt('migrations', note, async () => {
      const migrations = await lookAtMigrations(owner);
      isPending = migrations.isPending;
      return migrations.finding;
    });
  }
  const [row] = await either.read<{ found: boolean }>(
    (sql) => sql`select exists (select from pg_tables
      where schemaname = 'public' and tablename = 'chat_history') as found`,
  );
  if (!row?.found) return 'empty';
  return isPending ? 'partial' : 'complete';
}

async function examineTables(sql: Looker, isComplete: boolean, note: Note): Promise<void> {
  // What a pending migration is to mend is no fault.
  if (isComplete) {
    await attempt('row level security', note, () => rowSecurityFinding(sql));
    await attempt('tables', note, () => structureFindings(sql));
    await attempt('search', note, () => searchFinding(sql));
  }
  await attempt('abandoned replies', note, () => leasesFinding(sql));
  await attempt('size', note, () => sizeFinding(sql));
}
