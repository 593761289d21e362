import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, SignJWT } from 'jose';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createSupabaseVerifier } from '../src/services/tokens.ts';

const SECONDS = 1_000;
const MINUTES = 60 * SECONDS;

const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** What a project publishes as its keys, which may be changed at any time. */
async function startProject(...published: [kid: string, keys: ReturnType<typeof pair>][]) {
  const jwks = (those: typeof published) =>
    Promise.all(
      those.map(async ([kid, { publicKey }]) => ({
        ...(await exportJWK(publicKey)),
        kid,
        alg: 'ES256',
      })),
    );
  let keys = await jwks(published);
  const server = createServer((_, response) => response.end(JSON.stringify({ keys })));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    tokens: createSupabaseVerifier({ url: `http://127.0.0.1:${port}`, jwtSecret: undefined }),
    publish: async (...those: typeof published) => {
      keys = await jwks(those);
    },
  };
}

const sign = (kid: string, { privateKey }: ReturnType<typeof pair>, lastsMs: number) =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid })
    .setSubject(randomUUID())
    .setAudience('authenticated')
    .setExpirationTime(new Date(Date.now() + lastsMs))
    .sign(privateKey);

/** Moves the clocks, and no timer. */
function passTime() {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  return (ms: number) => vi.advanceTimersByTime(ms);
}

it('takes a token to its end, however often it was taken before', async () => {
  const pass = passTime();
  const keys = pair();
  const { tokens } = await startProject(['one', keys]);
  const token = await sign('one', keys, 60 * SECONDS);
  for (let n = 0; n < 5; n += 1) await tokens.verify(token);
  pass(59 * SECONDS);
  await tokens.verify(token);
  pass(1 * SECONDS);
  await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

it('takes none of a key that was withdrawn, ten minutes later at the latest', async () => {
  const pass = passTime();
  const [old, next] = [pair(), pair()];
  const { tokens, publish } = await startProject(['old', old]);
  const token = await sign('old', old, 600 * MINUTES);
  for (let n = 0; n < 5; n += 1) await tokens.verify(token);

  await publish(['old', old], ['next', next]);
  pass(1 * MINUTES);
  const successor = await sign('next', next, 600 * MINUTES);
  for (const one of [token, successor]) await tokens.verify(one);

  await publish(['next', next]);
  pass(10 * MINUTES);
  await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await tokens.verify(successor);
});
