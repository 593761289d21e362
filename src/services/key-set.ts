import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { ExpectedError } from '../errors.ts';

/** Where the public keys of tokens come from. */
export interface KeySet {
  /**
   * The key of a token, for `jwtVerify`.
   *
   * @throws SERVICE_UNAVAILABLE while the keys have never been there
   */
  readonly keyOf: JWTVerifyGetKey;
  /** Which keys they are: another value once they are, or may be, others. */
  version(): unknown;
}

/** A key that is withdrawn is good for so long at most, as long as the address answers. */
const MAX_AGE_MS = 10 * 60_000;
/** Made-up key ids have the keys fetched so often at most, whether the address answers or not. */
const COOLDOWN_MS = 30_000;
/** The same before they were ever there: everybody waits for them then. */
const FIRST_COOLDOWN_MS = 1_000;
const TIMEOUT_MS = 3_000;

/**
 * The keys of a JWKS address, kept for ten minutes and fetched at once for a key that is not among them.
 * While the address does not answer, the keys go on being good that were there last. jose's own
 * createRemoteJWKSet refuses all tokens then, and asks again for every one of an unknown key.
 */
export function createKeySet(url: URL): KeySet {
  let keys: JWTVerifyGetKey | undefined;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let failure: unknown;
  let fetching: Promise<void> | undefined;

  // Not the time of day, which may be set back.
  const isOld = () => performance.now() - fetchedAt >= MAX_AGE_MS;
  const mayAsk = () => performance.now() - askedAt >= (keys ? COOLDOWN_MS : FIRST_COOLDOWN_MS);

  async function refresh(): Promise<void> {
    if (!fetching && mayAsk()) {
      askedAt = performance.now();
      fetching = fetchKeys(url)
        .then(
          (found) => {
            keys = found;
            fetchedAt = performance.now();
          },
          (error: unknown) => {
            failure = error;
          },
        )
        .finally(() => {
          fetching = undefined;
        });
    }
    await fetching;
  }

  return {
    async keyOf(header, token) {
      if (isOld()) await refresh();
      if (!keys) throw unreachable(failure);
      const known = keys;
      try {
        return await known(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        await refresh();
        if (keys === known) throw error;
        return keys(header, token);
      }
    },
    // Equal to nothing while they are to be fetched anew.
    version: () => (isOld() && (fetching || mayAsk()) ? Number.NaN : keys),
  };
}

async function fetchKeys(url: URL): Promise<JWTVerifyGetKey> {
  const response = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200) throw new Error(`The address of the keys said ${response.status}.`);
  return createLocalJWKSet((await response.json()) as Parameters<typeof createLocalJWKSet>[0]);
}

function unreachable(cause: unknown): ExpectedError {
  const message = "The sign-in service's keys cannot be fetched right now. Try again.";
  return new ExpectedError('SERVICE_UNAVAILABLE', message, {}, { cause });
}
