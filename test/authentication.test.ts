import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Any, clientOf, failureOf, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';

const SECRET = 'a-secret-of-at-least-thirty-two-characters';
const VIEWER = '{ viewer { id email createdAt } }';

const claims = (more: JWTPayload = {}): JWTPayload => ({
  sub: randomUUID(),
  aud: 'authenticated',
  exp: Math.floor(Date.now() / 1000) + 3600,
  ...more,
});

const signed = (
  payload: JWTPayload,
  key: Parameters<SignJWT['sign']>[0],
  alg: string,
  kid?: string,
) => new SignJWT(payload).setProtectedHeader({ alg, ...(kid && { kid }) }).sign(key);

const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('own guests', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());

  it('are somebody at once, for a year', async () => {
    const { signInAsGuest } = await clientOf(server).data<Any>(
      'mutation { signInAsGuest { accessToken expiresAt user { id email createdAt } } }',
    );
    const days = (Date.parse(signInAsGuest.expiresAt) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(364);
    const { viewer } = await clientOf(server, signInAsGuest.accessToken).data<Any>(VIEWER);
    expect(viewer).toEqual(signInAsGuest.user);
    expect(viewer.email).toBeNull();
  });

  it('stay signed in when another process of the installation answers, or the next one', async () => {
    const me = await signIn(server);
    const other = await startServer({ beside: server });
    const { viewer } = await clientOf(other, me.token).data<Any>(VIEWER);
    expect(viewer.id).toBe(me.userId);
    await other.stop();
  });

  it('are UNAUTHENTICATED without a token, 401 or 200 as the media type has it', async () => {
    const anonymous = clientOf(server);
    const json = await anonymous.ask(VIEWER);
    expect([failureOf(json), json.status]).toEqual(['UNAUTHENTICATED', 200]);
    const graphql = { accept: 'application/graphql-response+json' };
    expect((await anonymous.ask(VIEWER, {}, graphql)).status).toBe(401);
    expect((await anonymous.ask('{ __typename }', {}, graphql)).status).toBe(200);
  });
});

describe('tokens of an HS256 secret', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ env: { SUPABASE_JWT_SECRET: SECRET } });
  });
  afterAll(() => server.stop());

  const key = Buffer.from(SECRET);

  it('let their sub in, which is added to auth.users on first use', async () => {
    const payload = claims({ email: 'ada@example.org' });
    const me = clientOf(server, await signed(payload, key, 'HS256'));
    const { viewer } = await me.data<Any>(VIEWER);
    expect(viewer).toMatchObject({ id: payload.sub, email: 'ada@example.org' });
    const listed = clientOf(
      server,
      await signed(claims({ aud: ['other', 'authenticated'] }), key, 'HS256'),
    );
    expect((await listed.ask(VIEWER)).errors).toBeUndefined();
  });

  it('leave no room for guests', async () => {
    const asked = await clientOf(server).ask('mutation { signInAsGuest { accessToken } }');
    expect(failureOf(asked)).toBe('CONFLICT');
  });

  it('are refused when anything about them is wrong', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const good = await signed(claims(), key, 'HS256');
    const [head, body, signature] = good.split('.') as [string, string, string];
    const { exp: _exp, ...withoutExp } = claims();
    const { sub: _sub, ...withoutSub } = claims();
    const { aud: _aud, ...withoutAud } = claims();
    const forged: Record<string, string> = {
      'no token': '',
      'not a token': 'abc',
      'two parts': `${head}.${body}`,
      'four parts': `${good}.x`,
      unsigned: `${base64({ alg: 'none' })}.${body}.`,
      'unsigned, spelt otherwise': `${base64({ alg: 'nOnE' })}.${body}.`,
      'no signature': `${head}.${body}.`,
      'cut signature': good.slice(0, -2),
      'changed body': `${head}.${base64(claims())}.${signature}`,
      'another secret': await signed(claims(), Buffer.from(`${SECRET}!`), 'HS256'),
      'an empty secret': await signed(claims(), Buffer.alloc(32), 'HS256'),
      'HS384 of the same secret': await signed(claims(), Buffer.from(SECRET.repeat(2)), 'HS384'),
      RS256: await signed(claims(), privateKey, 'RS256'),
      'HS256 with a public key': await signed(
        claims(),
        publicKey.export({ type: 'spki', format: 'der' }),
        'HS256',
      ),
      expired: await signed(claims({ exp: Math.floor(Date.now() / 1000) - 1 }), key, 'HS256'),
      'not yet': await signed(claims({ nbf: Math.floor(Date.now() / 1000) + 60 }), key, 'HS256'),
      'no exp': await signed(withoutExp, key, 'HS256'),
      'no sub': await signed(withoutSub, key, 'HS256'),
      'no aud': await signed(withoutAud, key, 'HS256'),
      'foreign aud': await signed(claims({ aud: 'anon' }), key, 'HS256'),
      'sub is no UUID': await signed(claims({ sub: 'root' }), key, 'HS256'),
      'sub is SQL': await signed(claims({ sub: "' or true --" }), key, 'HS256'),
      'kid is a path': await signed(claims(), Buffer.alloc(32), 'HS256', '../../dev/null'),
    };
    for (const [what, token] of Object.entries(forged)) {
      const asked = await clientOf(server).ask(VIEWER, {}, { authorization: `Bearer ${token}` });
      expect(failureOf(asked), what).toBe('UNAUTHENTICATED');
      expect(asked.data ?? null, what).toBeNull();
    }
    const basic = await clientOf(server).ask(VIEWER, {}, { authorization: `Basic ${good}` });
    expect(failureOf(basic)).toBe('UNAUTHENTICATED');
    expect(
      (await clientOf(server).ask(VIEWER, {}, { authorization: `bearer ${good}` })).errors,
    ).toBeUndefined();
  });
});

describe("tokens of Supabase's JWKS", () => {
  const old = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  let jwks: Server;
  let server: TestServer;
  let keys: object[] = [];

  const publish = async (...pairs: [typeof old, string][]) => {
    keys = await Promise.all(
      pairs.map(async ([{ publicKey }, kid]) => ({
        ...(await exportJWK(publicKey)),
        kid,
        alg: 'ES256',
        use: 'sig',
      })),
    );
  };

  beforeAll(async () => {
    await publish([old, 'old']);
    jwks = createServer((request, response) => {
      if (request.url !== '/auth/v1/.well-known/jwks.json') response.writeHead(404).end();
      else response.end(JSON.stringify({ keys }));
    });
    await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve));
    const { port } = jwks.address() as AddressInfo;
    server = await startServer({ env: { SUPABASE_URL: `http://127.0.0.1:${port}/` } });
  });
  afterAll(async () => {
    await server.stop();
    jwks.close();
  });

  it('let their sub in', async () => {
    const payload = claims();
    const me = clientOf(server, await signed(payload, old.privateKey, 'ES256', 'old'));
    expect((await me.data<Any>(VIEWER)).viewer.id).toBe(payload.sub);
  });
});
