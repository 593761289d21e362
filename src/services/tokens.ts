import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import { validate as isUuid } from 'uuid';
import type { Claims } from '../db/database.ts';
import { ExpectedError, unauthenticated } from '../errors.ts';

/** Who a verified token speaks for, and until when. */
export interface Viewer extends Claims {
  readonly expiresAt: Date;
}

export interface TokenVerifier {
  /** @throws UNAUTHENTICATED; SERVICE_UNAVAILABLE when Supabase's keys cannot be fetched */
  verify(token: string): Promise<Viewer>;
}

export interface TokenSigner {
  /** A token of our own for a user, and when it runs out. */
  sign(userId: string): Promise<{ token: string; expiresAt: Date }>;
}

const AUDIENCE = 'authenticated';

/** A guest has nothing but this token, so it lives long. */
const OWN_TOKEN_DAYS = 365;

type Check = (token: string) => Promise<JWTPayload>;

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
    return check(token);
  });
}

/** Our own accounts' tokens, signed with a key in `dataDir` that all processes on it share. */
export async function createOwnTokens(dataDir: string): Promise<TokenVerifier & TokenSigner> {
  const key = await ownKey(dataDir);
  return {
    ...verifier(secretCheck(key)),
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

function verifier(check: Check): TokenVerifier {
  return {
    async verify(token) {
      const payload = await Promise.resolve()
        .then(() => check(token))
        .catch((error: unknown) => {
          throw explain(error);
        });
      const { sub, exp, email } = payload;
      if (!sub || !isUuid(sub)) throw unauthenticated("The token's sub is no UUID.");
      return {
        sub: sub.toLowerCase(),
        email: typeof email === 'string' ? email : undefined,
        expiresAt: new Date((exp ?? 0) * 1000),
      };
    },
  };
}

const required = { audience: AUDIENCE, requiredClaims: ['exp', 'sub', 'aud'] };

function secretCheck(secret: string): Check {
  const key = Buffer.from(secret);
  return async (token) =>
    (await jwtVerify(token, key, { ...required, algorithms: ['HS256'] })).payload;
}

function jwksCheck(supabaseUrl: string): Check {
  const base = supabaseUrl.replace(/\/+$/, '');
  const keys = createRemoteJWKSet(new URL(`${base}/auth/v1/.well-known/jwks.json`), {
    timeoutDuration: 3_000,
  });
  const algorithms = ['ES256', 'RS256', 'EdDSA'];
  return async (token) => (await jwtVerify(token, keys, { ...required, algorithms })).payload;
}

function explain(error: unknown): ExpectedError {
  if (error instanceof ExpectedError) return error;
  if (error instanceof errors.JWTExpired) return unauthenticated('The token has run out.');
  const foreign =
    error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout)
      ? error.code !== 'ERR_JOSE_GENERIC' // the answer of the JWKS address was no 200 or no JSON
      : error instanceof TypeError && !isFetchFailure(error);
  if (foreign) return unauthenticated('The token is not valid here.');
  const message = "The sign-in service's keys cannot be fetched right now. Try again.";
  return new ExpectedError('SERVICE_UNAVAILABLE', message, {}, { cause: error });
}

/** undici says "fetch failed"; jose says "Invalid Token" for what is no token. Both are TypeErrors. */
function isFetchFailure(error: TypeError): boolean {
  return error.message === 'fetch failed';
}

/** The key is written aside and then linked, so that processes that start at once share one. */
async function ownKey(dataDir: string): Promise<string> {
  const path = join(dataDir, 'jwt.key');
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
