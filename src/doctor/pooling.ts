import { poolerOptions } from '../db/pooler.ts';
import { openLooker } from './connection.ts';
import { type Finding, fault, look, ok } from './finding.ts';

/** What stands between us and PostgreSQL. `statement` lets no transaction through at all. */
type Pooling = 'none' | 'session' | 'transaction';

const CONNECTIONS = 3;

/**
 * Looks for a pooler by what it does. One that hands out a connection for a transaction at a time lets
 * several of ours reach the same process of PostgreSQL, or one of ours several; any pooler announces
 * another process than the one that answers.
 */
async function detectPooling(url: string, signal: AbortSignal): Promise<Pooling> {
  const lookers = Array.from({ length: CONNECTIONS }, () => openLooker(url, signal));
  try {
    const seen: Set<number>[] = lookers.map(() => new Set());
    let announcedAnother = false;
    const visit = async (n: number) => {
      const { answers, announced } = await (lookers[n] as (typeof lookers)[number]).backend();
      seen[n]?.add(answers);
      announcedAnother ||= answers !== announced;
    };
    // All of them open, then in another order, for a pooler that goes round its connections.
    await Promise.all(lookers.map((_, n) => visit(n)));
    for (const n of [0, 1, 2, 1, 0, 2]) await visit(n);
    const processes = new Set(seen.flatMap((pids) => [...pids]));
    const ownEach = seen.every(({ size }) => size === 1) && processes.size === CONNECTIONS;
    if (!ownEach) return 'transaction';
    return announcedAnother ? 'session' : 'none';
  } finally {
    for (const looker of lookers) looker.close();
  }
}

/** For DATABASE_URL, which may lead through a transaction pooler if it says so. */
export async function poolerFinding(url: string, signal: AbortSignal): Promise<Finding> {
  const announced = !poolerOptions(url).prepare;
  const found = await detectPooling(url, signal);
  if (found === 'transaction') {
    if (announced) return ok('pooler', 'a transaction pooler, and DATABASE_URL says so');
    return fault(
      'pooler',
      'a transaction pooler, and DATABASE_URL does not say so',
      'Statements fail now and then: add ?pgbouncer=true to DATABASE_URL.',
    );
  }
  const value = found === 'none' ? 'none' : 'one that keeps sessions';
  if (!announced) return ok('pooler', value);
  return look(
    'pooler',
    `${value}, though DATABASE_URL says that there is a transaction pooler`,
    'Harmless, but every statement is planned anew: leave out pgbouncer=true if it is not needed.',
  );
}

/** For migrations, which hold a lock of their session. */
export async function directFinding(url: string, signal: AbortSignal): Promise<Finding> {
  const found = await detectPooling(url, signal);
  if (found === 'none') return ok('migrations by', 'a direct connection');
  if (found === 'session') return ok('migrations by', 'a pooler that keeps sessions');
  return fault(
    'migrations by',
    'a transaction pooler',
    'The lock of migrations does not hold there: set MIGRATION_DATABASE_URL to a direct connection.',
  );
}
