import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ASYMMETRIC, jwksUrl, ownKeyFile } from '../services/tokens.ts';
import { type Examination, type Finding, fault, look, ok } from './finding.ts';
import { clockFinding, inMs } from './measure.ts';
import { isLocal } from './place.ts';
import { reasonOf } from './reason.ts';

/** As long as the server waits for it. */
const PATIENCE_MS = 3_000;
/** RFC 7518, 3.2: a key of HS256 has 256 bits at least. */
const KEY_BYTES = 32;

export const accountsExamination: Examination = {
  name: 'Accounts',
  async run({ supabase, dataDir }, note, signal) {
    const { url, jwtSecret, anonKey } = supabase;
    if (!url && !jwtSecret) {
      note(ok('accounts', 'own guests'), await ownKeyFinding(dataDir));
      return;
    }
    note(ok('accounts', url ? `Supabase, ${new URL(url).host}` : 'Supabase, by its JWT secret'));
    if (url) {
      note(...(await keysFindings(url, jwtSecret !== undefined, signal)), ...encryption(url));
      note(await publishableFinding(url, anonKey, signal));
    }
  },
};

/** Whose tokens are taken once they are known to be good: no other process has another key. */
async function ownKeyFinding(dataDir: string): Promise<Finding> {
  const path = resolve(ownKeyFile(dataDir));
  const subject = 'own key';
  try {
    const { mode, size } = await stat(path);
    const text = await readFile(path, 'utf8');
    if (text.length < KEY_BYTES) {
      const advice = 'Restore it from a backup: with another key all guests lose their accounts.';
      return fault(subject, `${path} has ${size} bytes, which is no key`, advice);
    }
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      const shown = (mode & 0o777).toString(8);
      const advice = `Who reads it can be anybody: chmod 600 ${path}`;
      return look(subject, `${path} is open to others (mode ${shown})`, advice);
    }
    return ok(subject, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return ok(subject, 'none yet: the first start makes it');
    }
    const advice = 'Look as the user that the server runs as.';
    return fault(subject, `${path} cannot be read: ${reasonOf(error)}`, advice);
  }
}

async function keysFindings(
  url: string,
  hasSecret: boolean,
  signal: AbortSignal,
): Promise<Finding[]> {
  const subject = 'keys';
  const away = 'Nobody can sign in: let this machine reach it, or set SUPABASE_URL right.';
  try {
    const sentAt = Date.now();
    const from = performance.now();
    const response = await get(jwksUrl(url), signal);
    const tookMs = performance.now() - from;
    const { keys } = Object(await response.json().catch(() => ({}))) as { keys?: unknown };
    if (response.status !== 200 || !Array.isArray(keys)) {
      return [fault(subject, `no list of keys, but an answer ${response.status}`, away)];
    }
    const reached = ok('reachable', `in ${inMs(tookMs)}`);
    return [
      reached,
      ...clock(response, sentAt, tookMs),
      ...judge(keys as { alg?: string }[], hasSecret),
    ];
  } catch (error) {
    return [fault('reachable', reasonOf(error), away)];
  }
}

const get = (url: URL, signal: AbortSignal, headers: Record<string, string> = {}) =>
  fetch(url, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]) });

/** Whose clock says when tokens run out; HTTP tells whole seconds of it. */
function clock({ headers }: Response, sentAt: number, tookMs: number): Finding[] {
  const theirs = Date.parse(headers.get('date') ?? '');
  if (Number.isNaN(theirs)) return [];
  const aheadMs = theirs + 500 - (sentAt + tookMs / 2);
  const uncertainMs = 500 + tookMs / 2;
  return [clockFinding({ aheadMs, uncertainMs, roundTripMs: tookMs })];
}

/** What the web client signs in with. */
async function publishableFinding(
  url: string,
  anonKey: string | undefined,
  signal: AbortSignal,
): Promise<Finding> {
  const subject = 'web client';
  const advice = "Set SUPABASE_ANON_KEY to the project's publishable key.";
  if (!anonKey) return look(subject, 'cannot sign in: it lacks the publishable key', advice);
  const settings = new URL(`${url.replace(/\/+$/, '')}/auth/v1/settings`);
  const status = await get(settings, signal, { apikey: anonKey }).then(
    (response) => response.status,
    () => 0,
  );
  if (status === 200) return ok(subject, 'its publishable key is taken');
  if (status === 401 || status === 403) {
    return fault(subject, `cannot sign in: its key is refused (${status})`, advice);
  }
  const later = 'Look again once the project answers.';
  return look(subject, `whether its key is taken could not be seen (${status || 'away'})`, later);
}

function judge(keys: readonly { alg?: string }[], hasSecret: boolean): Finding[] {
  const algorithms = [...new Set(keys.map(({ alg }) => alg ?? 'unnamed'))];
  const value = `${keys.length} (${algorithms.join(', ') || 'none'})`;
  if (algorithms.some((name) => name === 'unnamed' || ASYMMETRIC.includes(name))) {
    return [ok('keys', value)];
  }
  if (hasSecret) return [ok('keys', `${value}; tokens are checked by the JWT secret`)];
  const advice = `No token can be checked: give the project a key for ${ASYMMETRIC.join(', ')}, or set SUPABASE_JWT_SECRET.`;
  return [fault('keys', value, advice)];
}

function encryption(url: string): Finding[] {
  if (isLocal(url) || url.startsWith('https:')) return [];
  const advice = 'Anybody on the way can put in keys of their own: use https:// in SUPABASE_URL.';
  return [fault('encryption', 'none on the way to another host', advice)];
}
