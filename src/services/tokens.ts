import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';
import { validate as isUuid } from 'uuid';
import type { Claims } from '../db/database.ts';
import { ExpectedError, unauthenticated } from '../errors.ts';
import { createKeySet } from './key-set.ts';

/** Who a verified token speaks for, and until when. */
export interface Viewer extends Claims {
  readonly expiresAt: Date;
}

export interface TokenVerifier {
  /** @throws UNAUTHENTICATED; SERVICE_UNAVAILABLE when Supabase's keys have never been there */
  verify(token: string): Promise<Viewer>;
}

export interface TokenSigner {
  /** A token of our own for a user, and when it runs out. */
  sign(userId: string): Promise<{ token: string; expiresAt: Date }>;
}

const AUDIENCE = 'authenticated';

/** A guest has nothing but this token, so it lives long. */
const OWN_TOKEN_DAYS = 365;

interface Check {
  /** @throws what jose says of it */
  verify(token: string): Promise<JWTPayload>;
  /** Which keys it verifies with; another value once they may be others. */
  keys(): unknown;
}

/**
 * Tokens of Supabase: asymmetric ones against the project's JWKS, HS256 ones against its secret.
 * Which keys are asked depends on the algorithm, so that a public key is never taken for a secret.
 */
export function createSupabaseVerifier(supabase: {
  url: string | undefined;
  jwtSecret: string | undefined;
}): TokenVerifier {
  const bySecret = supabase.jwtSecret ? secretCheck(supabase.jwtSecret) : undefined;
  const byJwks = supabase.url ? jwksCheck(supabase.url) : undefined;
  return verifier((token) => {
    const check = decodeProtectedHeader(token).alg === 'HS256' ? bySecret : byJwks;
    if (!check) throw unauthenticated('The token is not signed as it has to be.');
    return check;
  });
}

/** Our own accounts' tokens, signed with a key in `dataDir` that all processes on it share. */
export async function createOwnTokens(dataDir: string): Promise<TokenVerifier & TokenSigner> {
  const key = await ownKey(dataDir);
  const check = secretCheck(key);
  return {
    ...verifier(() => check),
    async sign(userId) {
      const now = Math.floor(Date.now() / 1000);
      const expires = now + OWN_TOKEN_DAYS * 24 * 60 * 60;
      const token = await new SignJWT({ role: AUDIENCE })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setSubject(userId)
        .setAudience(AUDIENCE)
        .setIssuedAt(now)
        .setExpirationTime(expires)
        .sign(Buffer.from(key));
      return { token, expiresAt: new Date(expires * 1000) };
    },
  };
}

/** How many good tokens are remembered, the least recently used forgotten first. */
const REMEMBERED = 10_000;

interface Remembered {
  readonly viewer: Viewer;
  readonly check: Check;
  readonly keys: unknown;
}

/** A good token is verified once, and again only when the keys may be others; its end is always looked at. */
function verifier(checkOf: (token: string) => Check): TokenVerifier {
  const known = new LRUCache<string, Remembered>({ max: REMEMBERED });
  return {
    async verify(token) {
      const found = known.get(token);
      if (found && isGood(found)) return found.viewer;
      try {
        const check = checkOf(token);
        const keys = check.keys();
        const viewer = viewerOf(await check.verify(token));
        // Keys that changed meanwhile may not be those it was verified with.
        if (check.keys() === keys) known.set(token, { viewer, check, keys });
        return viewer;
      } catch (error) {
        throw explain(error);
      }
    },
  };
}

const isGood = ({ viewer, check, keys }: Remembered): boolean =>
  check.keys() === keys && viewer.expiresAt.getTime() > Date.now();

function viewerOf({ sub, exp, email }: JWTPayload): Viewer {
  if (!sub || !isUuid(sub)) throw unauthenticated("The token's sub is no UUID.");
  const expiresAt = new Date((exp ?? 0) * 1000);
  if (Number.isNaN(expiresAt.getTime())) throw unauthenticated("The token's exp is no date.");
  return {
    sub: sub.toLowerCase(),
    email: typeof email === 'string' ? email : undefined,
    expiresAt,
  };
}

const required = { audience: AUDIENCE, requiredClaims: ['exp', 'sub', 'aud'] };

function secretCheck(secret: string): Check {
  const hmac = { name: 'HMAC', hash: 'SHA-256' };
  // Once: of bytes jose makes a key for each token.
  const key = crypto.subtle.importKey('raw', Buffer.from(secret), hmac, false, ['verify']);
  return {
    verify: async (token) =>
      (await jwtVerify(token, await key, { ...required, algorithms: ['HS256'] })).payload,
    keys: () => undefined,
  };
}

/** Of tokens that are checked against a project's JWKS. */
export const ASYMMETRIC = ['ES256', 'RS256', 'EdDSA'];

export const jwksUrl = (supabaseUrl: string): URL =>
  new URL(`${supabaseUrl.replace(/\/+$/, '')}/auth/v1/.well-known/jwks.json`);

function jwksCheck(supabaseUrl: string): Check {
  const { keyOf, version } = createKeySet(jwksUrl(supabaseUrl));
  const options = { ...required, algorithms: ASYMMETRIC };
  return {
    verify: async (token) => (await jwtVerify(token, keyOf, options)).payload,
    keys: version,
  };
}

/** Whatever else there is to say of a token, it is not good. */
function explain(error: unknown): ExpectedError {
  if (error instanceof ExpectedError) return error;
  if (error instanceof errors.JWTExpired) return unauthenticated('The token has run out.');
  return unauthenticated('The token is not valid here.');
}

/** Where the key of own accounts is. */
export const ownKeyFile = (dataDir: string): string => join(dataDir, 'jwt.key');

/** The key is written aside and then linked, so that processes that start at once share one. */
async function ownKey(dataDir: string): Promise<string> {
  const path = ownKeyFile(dataDir);
  await mkdir(dataDir, { recursive: true });
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, randomBytes(32).toString('base64url'), { mode: 0o600 });
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return readFile(path, 'utf8');
}
