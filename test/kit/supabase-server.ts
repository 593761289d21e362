import { generateKeyPairSync, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { exportJWK, jwtVerify, SignJWT } from 'jose';

export interface Mail {
  readonly to: string;
  readonly code: string;
  readonly link: string;
}

interface User {
  readonly id: string;
  readonly email: string;
}

export interface SupabaseServer {
  readonly url: string;
  /** The project's publishable key: every request has to bring it. */
  readonly key: string;
  /** What was sent, oldest first. */
  readonly mails: Mail[];
  /** How many times tokens were made anew. */
  readonly refreshes: number;
  /** How long tokens last that are made from now on. */
  tokenSeconds: number;
  /** Answers everything with 503. */
  away: boolean;
  /** A token of a user who has signed in before. */
  tokenFor(email: string, seconds: number): Promise<string>;
  /** Ends all sessions, as an administrator does: no refresh token is taken any more. */
  revoke(): void;
  stop(): void;
}

/** The part of GoTrue's protocol that an e-mail sign-in needs, with tokens that are really signed. */
export async function startSupabaseServer(): Promise<SupabaseServer> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'kit', alg: 'ES256', use: 'sig' };
  const key = `sb_publishable_${randomBytes(8).toString('hex')}`;
  const users = new Map<string, User>();
  const mails: Mail[] = [];
  /** By what was mailed, and by refresh token: whose it is. Each is good once. */
  const codes = new Map<string, User>();
  const links = new Map<string, User>();
  const refreshTokens = new Map<string, User>();
  let refreshes = 0;

  const sign = ({ id, email }: User, seconds: number) =>
    new SignJWT({ email, role: 'authenticated', session_id: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'kit', typ: 'JWT' })
      .setSubject(id)
      .setAudience('authenticated')
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(privateKey);

  const publicUser = ({ id, email }: User) => ({
    id,
    email,
    aud: 'authenticated',
    role: 'authenticated',
    app_metadata: { provider: 'email', providers: ['email'] },
    user_metadata: {},
    identities: [],
    created_at: '2026-01-01T00:00:00Z',
  });

  async function sessionOf(user: User) {
    const refresh_token = randomBytes(9).toString('base64url');
    refreshTokens.set(refresh_token, user);
    return {
      access_token: await sign(user, server.tokenSeconds),
      token_type: 'bearer',
      expires_in: server.tokenSeconds,
      expires_at: Math.floor(Date.now() / 1000) + server.tokenSeconds,
      refresh_token,
      user: publicUser(user),
    };
  }

  function mailTo(email: string, redirectTo: string): void {
    const user = users.get(email) ?? { id: randomUUID(), email };
    users.set(email, user);
    const code = String(randomInt(100_000, 1_000_000));
    const hash = randomBytes(16).toString('hex');
    codes.set(`${email} ${code}`, user);
    links.set(hash, user);
    const query = new URLSearchParams({ token: hash, type: 'magiclink', redirect_to: redirectTo });
    mails.push({ to: email, code, link: `${server.url}/auth/v1/verify?${query}` });
  }

  /** Takes a token out of those that are good once. */
  function redeem(tokens: Map<string, User>, token: string): User | undefined {
    const user = tokens.get(token);
    tokens.delete(token);
    return user;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', server.url);
    const redirectTo = searchParams.get('redirect_to') ?? '';
    const send = (status: number, body?: unknown) => {
      response.writeHead(status, {
        'content-type': 'application/json',
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'GET,POST,PUT,DELETE,OPTIONS',
        'access-control-allow-headers':
          'authorization,apikey,content-type,x-client-info,x-supabase-api-version',
        'access-control-expose-headers': 'X-Supabase-Api-Version',
        'x-supabase-api-version': '2024-01-01',
      });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    };
    if (request.method === 'OPTIONS') return send(204);
    if (server.away) return send(503, { message: 'upstream is away' });
    switch (`${request.method} ${pathname}`) {
      case 'GET /auth/v1/.well-known/jwks.json':
        return send(200, { keys: [jwk] });
      case 'GET /auth/v1/verify': {
        const user = redeem(links, searchParams.get('token') ?? '');
        const said = user
          ? { ...(await sessionOf(user)), user: undefined, type: 'magiclink' }
          : {
              error: 'access_denied',
              error_code: 'otp_expired',
              error_description: 'Email link is invalid or has expired',
            };
        const fragment = new URLSearchParams(JSON.parse(JSON.stringify(said)));
        response.writeHead(303, { location: `${redirectTo}#${fragment}` }).end();
        return;
      }
    }
    if (request.headers['apikey'] !== key)
      return send(401, { message: 'No API key found in request' });
    switch (`${request.method} ${pathname}`) {
      case 'GET /auth/v1/settings':
        return send(200, { external: { email: true }, disable_signup: false });
      case 'POST /auth/v1/otp': {
        const { email } = (await json(request)) as { email: string };
        if (!/^\S+@\S+\.\S+$/.test(email)) {
          return send(400, { code: 'validation_failed', message: 'Unable to validate email' });
        }
        mailTo(email, redirectTo);
        return send(200, {});
      }
      case 'POST /auth/v1/verify': {
        const { email, token } = (await json(request)) as { email: string; token: string };
        const user = redeem(codes, `${email} ${token}`);
        if (user) return send(200, await sessionOf(user));
        return send(403, { code: 'otp_expired', message: 'Token has expired or is invalid' });
      }
      case 'POST /auth/v1/token': {
        const { refresh_token } = (await json(request)) as { refresh_token: string };
        const user = redeem(refreshTokens, refresh_token);
        const message = 'Invalid Refresh Token: Refresh Token Not Found';
        if (!user) return send(400, { code: 'refresh_token_not_found', message });
        refreshes += 1;
        return send(200, await sessionOf(user));
      }
      case 'GET /auth/v1/user': {
        const [, token = ''] = request.headers.authorization?.split(' ') ?? [];
        const { payload } = await jwtVerify(token, publicKey);
        return send(200, publicUser({ id: String(payload.sub), email: String(payload['email']) }));
      }
      case 'POST /auth/v1/logout':
        return send(204);
      default:
        return send(404, { code: 'not_found', message: pathname });
    }
  }

  const http = createServer((request, response) => {
    answer(request, response).catch(() => response.writeHead(500).end());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const server: SupabaseServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    key,
    mails,
    get refreshes() {
      return refreshes;
    },
    tokenSeconds: 3600,
    away: false,
    async tokenFor(email, seconds) {
      const user = users.get(email);
      if (!user) throw new Error(`${email} has not signed in.`);
      return sign(user, seconds);
    },
    revoke: () => refreshTokens.clear(),
    stop() {
      http.close();
      http.closeAllConnections();
    },
  };
  return server;
}
