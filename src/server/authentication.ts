import { unauthenticated } from '../errors.ts';
import type { TokenVerifier, Viewer } from '../services/tokens.ts';

/**
 * Who an Authorization header, or `authorization` in connection_init, speaks for; nobody without one.
 *
 * @throws UNAUTHENTICATED for anything that is not a good Bearer token
 */
export async function authenticate(
  tokens: TokenVerifier,
  authorization: unknown,
): Promise<Viewer | undefined> {
  if (authorization === undefined || authorization === null) return undefined;
  const text = typeof authorization === 'string' ? authorization : '';
  const [, token] = /^Bearer +([^\s]+)\s*$/i.exec(text) ?? [];
  if (!token) throw unauthenticated('Authorization has to be "Bearer" and a token.');
  return tokens.verify(token);
}
