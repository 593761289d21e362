import {
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign as signature,
} from 'node:crypto';
import { createServer, request as rawRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import WebSocket from 'ws';
import { clientOf, failureOf } from '../kit/client.ts';
import { times } from '../kit/promises.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { report } from '../kit/trials.ts';

const SECRET = 'a-secret-of-at-least-thirty-two-characters';
const VIEWER = '{ viewer { id } }';

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const keys = { one: newKey(), two: newKey(), three: newKey() };
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');
const foreign = newKey();
const foreignRsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** The address of a project's keys, as GoTrue serves it. */
interface Jwks {
  readonly url: string;
  published: object[];
  away: boolean;
  fetches: number;
  close(): void;
}

async function startJwks(): Promise<Jwks> {
  const http: Server = createServer((request, response) => {
    jwks.fetches += 1;
    if (jwks.away) request.socket.destroy();
    else response.end(JSON.stringify({ keys: jwks.published }));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const jwks: Jwks = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    published: [],
    away: false,
    fetches: 0,
    close() {
      http.close();
      http.closeAllConnections();
    },
  };
  return jwks;
}

const publicJwk = (key: KeyObject, kid: string, alg = 'ES256') => ({
  ...key.export({ format: 'jwk' }),
  kid,
  alg,
  use: 'sig',
});

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const encode = (part: unknown) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

type Sign = (data: string) => Buffer;
const es256 =
  (key: KeyObject): Sign =>
  (data) =>
    signature('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' });
const rs256 =
  (key: KeyObject): Sign =>
  (data) =>
    signature('sha256', Buffer.from(data), key);
const hmac =
  (secret: string | Buffer, hash = 'sha256'): Sign =>
  (data) =>
    createHmac(hash, secret).update(data).digest();

/** A token of any parts, also such as no library would write; a part that is a text goes in as it is. */
function token(header: unknown, payload: unknown, sign: Sign): string {
  const data = `${encode(header)}.${encode(payload)}`;
  return `${data}.${sign(data).toString('base64url')}`;
}

const good = (sub: string, key = keys.one, kid = 'one') =>
  token({ alg: 'ES256', kid, typ: 'JWT' }, claims({ sub }), es256(key.privateKey));

const claims = (more: object = {}): object => ({
  sub: randomUUID(),
  aud: 'authenticated',
  role: 'authenticated',
  exp: inAnHour(),
  ...more,
});

/** What is brought as Authorization, by what is wrong with it. */
function forgeriesFor(sub: string, elsewhere: string): Record<string, string> {
  const mine = es256(keys.one.privateKey);
  const theirs = es256(foreign.privateKey);
  const head = { alg: 'ES256', kid: 'one', typ: 'JWT' };
  const body = claims({ sub });
  const right = good(sub);
  const [h, p, s] = right.split('.') as [string, string, string];
  const without = (name: string) =>
    Object.fromEntries(Object.entries(body).filter(([key]) => key !== name));
  const pem = keys.one.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const nothing: Sign = () => Buffer.alloc(0);
  const embedded = publicJwk(foreign.publicKey, 'one');
  const seconds = Math.floor(Date.now() / 1000);
  const order = Buffer.from(
    'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
    'hex',
  );

  const headers: Record<string, [object | string, Sign?]> = {
    'alg none': [{ ...head, alg: 'none' }, nothing],
    'alg nOnE': [{ ...head, alg: 'nOnE' }, nothing],
    'alg none, signed': [{ ...head, alg: 'none' }],
    'alg empty': [{ ...head, alg: '' }],
    'alg missing': [{ kid: 'one' }],
    'alg in a list': [{ ...head, alg: ['ES256'] }],
    'alg null': [{ ...head, alg: null }],
    'alg in Cyrillic': [{ ...head, alg: 'ЕS256' }],
    'alg in lower case': [{ ...head, alg: 'es256' }],
    'alg twice': ['{"alg":"ES256","kid":"one","alg":"none"}', nothing],
    'HS256 with the public key, PEM': [{ ...head, alg: 'HS256' }, hmac(pem)],
    'HS256 with the public key, trimmed': [{ ...head, alg: 'HS256' }, hmac(pem.trim())],
    'HS256 with the public key, DER': [
      { ...head, alg: 'HS256' },
      hmac(keys.one.publicKey.export({ type: 'spki', format: 'der' })),
    ],
    'HS256 with the public key, JWK': [
      { ...head, alg: 'HS256' },
      hmac(JSON.stringify(publicJwk(keys.one.publicKey, 'one'))),
    ],
    'HS256 with no secret': [{ alg: 'HS256' }, hmac('')],
    'HS256 with zeros': [{ alg: 'HS256', kid: '../../dev/null' }, hmac(Buffer.alloc(32))],
    'HS256 with another secret': [{ alg: 'HS256' }, hmac(`${SECRET}!`)],
    'HS384 with the secret': [{ alg: 'HS384' }, hmac(SECRET, 'sha384')],
    'HS512 with the secret': [{ alg: 'HS512' }, hmac(SECRET, 'sha512')],
    'ES256 that says HS256': [{ ...head, alg: 'HS256' }],
    'HS256 that says ES256': [head, hmac(SECRET)],
    'another key': [head, theirs],
    'another key of no name': [{ alg: 'ES256' }, theirs],
    'another key of its own name': [{ ...head, kid: 'mine' }, theirs],
    "the good key under another's name": [{ ...head, kid: 'rsa' }],
    'RS256 with another key': [{ alg: 'RS256', kid: 'rsa' }, rs256(foreignRsa.privateKey)],
    'RS256 under the name of ES256': [{ alg: 'RS256', kid: 'one' }, rs256(rsa.privateKey)],
    'PS256 under the name of RS256': [{ alg: 'PS256', kid: 'rsa' }, rs256(rsa.privateKey)],
    'RS512 with the RS256 key': [
      { alg: 'RS512', kid: 'rsa' },
      (data) => signature('sha512', Buffer.from(data), rsa.privateKey),
    ],
    'EdDSA with another key': [
      { alg: 'EdDSA', kid: 'ed' },
      (data) => signature(null, Buffer.from(data), generateKeyPairSync('ed25519').privateKey),
    ],
    'kid is an address': [{ ...head, kid: elsewhere }, theirs],
    'kid is SQL': [{ ...head, kid: "' union select 'x" }, theirs],
    'kid is a path': [{ ...head, kid: '../../../etc/passwd' }, theirs],
    'kid is a list': [{ ...head, kid: ['one'] }],
    'kid is a number': [{ ...head, kid: 1 }],
    'kid is __proto__': [{ ...head, kid: '__proto__' }, theirs],
    'jwk along': [{ ...head, jwk: embedded }, theirs],
    'jwk along, of no name': [{ alg: 'ES256', jwk: embedded }, theirs],
    'jku elsewhere': [{ ...head, jku: elsewhere, kid: 'mine' }, theirs],
    'x5u elsewhere': [{ ...head, x5u: elsewhere, kid: 'mine' }, theirs],
    'x5c along': [{ ...head, x5c: ['AAAA'] }, theirs],
    'crit unknown': [{ ...head, crit: ['exp'], exp: inAnHour() }],
    'crit empty': [{ ...head, crit: [] }],
    'b64 false': [{ ...head, crit: ['b64'], b64: false }],
    'no JSON': ['alg=ES256'],
    'a list for a head': [[head]],
    'a mark before the head': [`\uFEFF${JSON.stringify(head)}`, theirs],
    'r = s = 0': [head, () => Buffer.alloc(64)],
    'r = s = n': [head, () => Buffer.concat([order, order])],
    'r = s = 1': [
      head,
      () => Buffer.concat([Buffer.alloc(31), Buffer.of(1), Buffer.alloc(31), Buffer.of(1)]),
    ],
    'the signature in DER': [
      head,
      (data) => signature('sha256', Buffer.from(data), keys.one.privateKey),
    ],
    'no signature': [head, nothing],
    'a longer signature': [head, (data) => Buffer.concat([mine(data), Buffer.alloc(2)])],
    'a shorter signature': [head, (data) => mine(data).subarray(0, 63)],
    'the signature of something else': [head, () => mine(`${h}.e30`)],
  };
  const payloads: Record<string, unknown> = {
    'no exp': without('exp'),
    'run out': { ...body, exp: seconds - 1 },
    'exp before time': { ...body, exp: -1 },
    'exp as a text': { ...body, exp: String(inAnHour()) },
    'exp in no calendar': { ...body, exp: 1e300 },
    'exp null': { ...body, exp: null },
    'nbf to come': { ...body, nbf: seconds + 60 },
    'nbf as a text': { ...body, nbf: 'now' },
    'no sub': without('sub'),
    'sub empty': { ...body, sub: '' },
    'sub of no form': { ...body, sub: 'root' },
    'sub in a list': { ...body, sub: [sub] },
    'sub in an object': { ...body, sub: { id: sub } },
    'sub a number': { ...body, sub: 1 },
    'sub is SQL': { ...body, sub: `${sub}' or true --` },
    'sub with a line break': { ...body, sub: `${sub}\n` },
    'sub between braces': { ...body, sub: `{${sub}}` },
    'sub without dashes': { ...body, sub: sub.replaceAll('-', '') },
    'sub as a URN': { ...body, sub: `urn:uuid:${sub}` },
    'sub in wide letters': { ...body, sub: sub.replace(/\d/, '０') },
    'no aud': without('aud'),
    'aud anon': { ...body, aud: 'anon' },
    'aud in upper case': { ...body, aud: 'AUTHENTICATED' },
    'aud with a blank': { ...body, aud: 'authenticated ' },
    'aud of others': { ...body, aud: ['anon', 'service_role'] },
    'aud an object': { ...body, aud: { authenticated: true } },
    'a list': [body],
    'a text': JSON.stringify('authenticated'),
    null: 'null',
    'a token in a token': right,
  };
  const texts: Record<string, string> = {
    nothing: '',
    'no token': 'abc',
    'dots alone': '..',
    'two parts': `${h}.${p}`,
    'four parts': `${right}.${s}`,
    'five parts': `${h}.${p}.${s}.${s}.${s}`,
    'a cut signature': right.slice(0, -2),
    'another body': `${h}.${encode({ ...body, exp: seconds + 7200 })}.${s}`,
    'another head': `${encode({ ...head, typ: 'at+jwt' })}.${p}.${s}`,
    'a body that says it twice': `${h}.${encode(`{"sub":"${randomUUID()}","sub":"${sub}","aud":"authenticated","exp":${inAnHour()}}`)}.${s}`,
    'as JSON': JSON.stringify({ payload: p, protected: h, signature: s }),
    'in quotes': `"${right}"`,
    'with a blank inside': `${h}. ${p}.${s}`,
    'with a comma behind': `${right},`,
    'twice, with a comma': `${right}, Bearer ${right}`,
  };
  // What Supabase calls its keys: tokens of nobody.
  const roles = ['anon', 'service_role'].map((role) => [
    `the key ${role}`,
    `Bearer ${token({ alg: 'HS256', typ: 'JWT' }, { iss: 'supabase', role, exp: inAnHour() }, hmac(SECRET))}`,
  ]);
  return {
    ...Object.fromEntries([
      ...Object.entries(headers).map(([what, [header, sign = mine]]) => [
        what,
        `Bearer ${token(header, body, sign)}`,
      ]),
      ...Object.entries(payloads).map(([what, payload]) => [
        `payload: ${what}`,
        `Bearer ${token(head, payload, mine)}`,
      ]),
      ...Object.entries(texts).map(([what, text]) => [`text: ${what}`, `Bearer ${text}`]),
      ...roles,
    ]),
    'no Bearer': right,
    Basic: `Basic ${right}`,
    Token: `Token ${right}`,
    'Bearer and nothing': 'Bearer',
    'Bearer glued to it': `Bearer${right}`,
    'Bearer, a colon': `Bearer: ${right}`,
    'Bearer, a hard blank': `Bearer\u00a0${right}`,
  };
}

let jwks: Jwks;
let elsewhere: Jwks;
let server: TestServer;

beforeAll(async () => {
  jwks = await startJwks();
  elsewhere = await startJwks();
  elsewhere.published = [publicJwk(foreign.publicKey, 'mine')];
  publish('one');
  // With both, since what is good for the one must be nothing for the other.
  server = await startServer({ env: { SUPABASE_URL: jwks.url, SUPABASE_JWT_SECRET: SECRET } });
});
afterAll(async () => {
  await server?.stop();
  jwks?.close();
  elsewhere?.close();
});

/** Ten minutes are not waited for: the server's clock goes on by so much. */
function pass(ms: number): void {
  ahead += ms;
}
let ahead = 0;
const now = performance.now.bind(performance);
vi.spyOn(performance, 'now').mockImplementation(() => now() + ahead);

function publish(...kids: (keyof typeof keys)[]): void {
  jwks.published = [
    ...kids.map((kid) => publicJwk(keys[kid].publicKey, kid)),
    publicJwk(rsa.publicKey, 'rsa', 'RS256'),
    publicJwk(ed.publicKey, 'ed', 'EdDSA'),
  ];
}

/** How a request with this Authorization ends: with whom, or with which code. */
type Enter = (authorization: unknown) => Promise<string>;

const overHttp: Enter = async (authorization) => {
  const answer = await clientOf(server).ask<{ viewer: { id: string } }>(
    VIEWER,
    {},
    { authorization: String(authorization) },
  );
  return answer.data?.viewer.id ?? failureOf(answer) ?? '';
};

const overSse: Enter = async (authorization) => {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: String(authorization),
    },
    body: JSON.stringify({ query: 'subscription { chatEvents { __typename } }' }),
  });
  let text = '';
  for await (const chunk of response.body as ReadableStream<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const [, code] = /"code":"(\w+)"/.exec(text) ?? [];
    if (code) return code;
    if (text.includes('CaughtUp')) return 'in';
  }
  return text;
};

const overWebSocket: Enter = (authorization) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(
      `${server.url.replace('http', 'ws')}/graphql`,
      'graphql-transport-ws',
    );
    socket.on('error', reject);
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } })),
    );
    socket.on('message', (data) => {
      if (JSON.parse(String(data)).type !== 'connection_ack') return;
      resolve('in');
      socket.terminate();
    });
    socket.on('close', (code) => resolve(String(code)));
  });

const ways = [
  { way: 'HTTP', enter: overHttp, refusal: 'UNAUTHENTICATED' },
  { way: 'SSE', enter: overSse, refusal: 'UNAUTHENTICATED' },
  { way: 'WebSocket', enter: overWebSocket, refusal: '4403' },
] as const;

describe('forged tokens', () => {
  it.for(ways)('let nobody in, over $way', async ({ way, enter, refusal }, context) => {
    const violations: string[] = [];
    let trials = 0;
    const sub = randomUUID();
    const forgeries = forgeriesFor(sub, elsewhere.url);
    for (let round = 0; round < times(1, 5); round += 1) {
      for (const [what, authorization] of Object.entries(forgeries)) {
        const outcome = await enter(authorization);
        trials += 1;
        if (outcome !== refusal) violations.push(`${what}: ${outcome}`);
      }
    }
    expect(Object.keys(forgeries).length).toBeGreaterThanOrEqual(100);
    expect(elsewhere.fetches).toBe(0);
    // What is good is good on this way, so that it is the forgery that was refused.
    for (const authorization of [`Bearer ${good(sub)}`, `bearer   ${good(sub)}`]) {
      expect([sub, 'in']).toContain(await enter(authorization));
    }
    const symmetric = token({ alg: 'HS256' }, claims({ sub }), hmac(SECRET));
    expect([sub, 'in']).toContain(await enter(`Bearer ${symmetric}`));
    report(context, 'isolation', { trials, of: `forged tokens over ${way}`, violations });
  });

  it('are no better in another place', async (context) => {
    const right = good(randomUUID());
    const query = encodeURIComponent(VIEWER);
    const ask = (path: string, headers: string[]) =>
      new Promise<string>((resolve, reject) => {
        const url = `${server.url}/graphql?query=${query}${path}`;
        rawRequest(
          url,
          {
            headers: ['Host', new URL(url).host, 'Accept', 'application/json', ...headers] as never,
          },
          (response) =>
            json(response).then((answer) => resolve(failureOf(answer as never) ?? 'in'), reject),
        )
          .on('error', reject)
          .end();
      });
    const bearer = `Bearer ${right}`;
    const places: Record<string, Promise<string>> = {
      'access_token in the query': ask(`&access_token=${right}`, []),
      'authorization in the query': ask(`&authorization=${encodeURIComponent(bearer)}`, []),
      'a cookie': ask('', ['Cookie', `sb-access-token=${right}; authorization=${right}`]),
      'another head': ask('', ['X-Authorization', bearer, 'Proxy-Authorization', bearer]),
      apikey: ask('', ['apikey', right]),
      'the second of two': ask('', ['Authorization', 'Bearer abc', 'Authorization', bearer]),
      'an operation’s extensions': ask(
        `&extensions=${encodeURIComponent(JSON.stringify({ authorization: bearer }))}`,
        [],
      ),
    };
    const violations: string[] = [];
    for (const [what, outcome] of Object.entries(places)) {
      if ((await outcome) !== 'UNAUTHENTICATED') violations.push(`${what}: ${await outcome}`);
    }
    for (const value of [[bearer], { bearer }, 1, true, '']) {
      if ((await overWebSocket(value)) !== '4403') violations.push(JSON.stringify(value));
    }
    expect(await ask('', ['Authorization', bearer])).toBe('in');
    const trials = Object.keys(places).length + 5;
    report(context, 'isolation', { trials, of: 'tokens in other places', violations });
  });
});

describe('keys that come and go', () => {
  it('are good from the moment they are there until they are withdrawn', async () => {
    const sub = randomUUID();
    const longLived = (kid: keyof typeof keys) =>
      token(
        { alg: 'ES256', kid },
        claims({ sub, exp: inAnHour() + 86_400 }),
        es256(keys[kid].privateKey),
      );
    const [one, two, three] = [longLived('one'), longLived('two'), longLived('three')];
    const enter = (given: string) => overHttp(`Bearer ${given}`);
    expect(await enter(one)).toBe(sub);
    expect(await enter(two)).toBe('UNAUTHENTICATED');
    publish('one', 'two');
    pass(30_000);
    expect([await enter(two), await enter(one)]).toEqual([sub, sub]);
    publish('two');
    pass(10 * 60_000);
    expect([await enter(one), await enter(two)]).toEqual(['UNAUTHENTICATED', sub]);

    // Away: known keys go on, unknown ones are refused as before, and it is hardly asked.
    jwks.away = true;
    pass(60 * 60_000);
    expect(await enter(two)).toBe(sub);
    expect(await enter(three)).toBe('UNAUTHENTICATED');
    expect(await overWebSocket(`Bearer ${two}`)).toBe('in');
    expect(await overWebSocket(`Bearer ${three}`)).toBe('4403');

    jwks.away = false;
    publish('two', 'three');
    pass(30_000);
    expect([await enter(three), await enter(two)]).toEqual([sub, sub]);
  });

  it('are fetched twice a minute at most for names that were made up', async (context) => {
    const violations: string[] = [];
    const trials = times(200, 2_000);
    for (const away of [false, true]) {
      jwks.away = away;
      pass(60_000);
      jwks.fetches = 0;
      const from = performance.now();
      for (let n = 0; n < trials / 2; n += 1) {
        const forged = good(randomUUID(), foreign, `made up ${randomUUID()}`);
        const outcome = await overHttp(`Bearer ${forged}`);
        if (outcome !== 'UNAUTHENTICATED') violations.push(outcome);
        pass(59_000 / (trials / 2));
      }
      // Two in the minute that is gone through, and one more for each 30 s that the machine took itself.
      const allowed = 1 + Math.floor((performance.now() - from) / 30_000);
      if (jwks.fetches > allowed)
        violations.push(`${jwks.fetches} fetches, not ${allowed}, away: ${away}`);
      expect(jwks.fetches).toBeGreaterThan(0);
    }
    jwks.away = false;
    report(context, 'isolation', { trials, of: 'made-up key ids', violations });
  });

  it('that were never there are nobody’s fault, and good once they are', async () => {
    const late = await startJwks();
    late.away = true;
    const other = await startServer({ env: { SUPABASE_URL: late.url } });
    onTestFinished(async () => {
      await other.stop();
      late.close();
    });
    const sub = randomUUID();
    const me = clientOf(other, good(sub));
    expect(failureOf(await me.ask(VIEWER))).toBe('SERVICE_UNAVAILABLE');
    late.away = false;
    late.published = [publicJwk(keys.one.publicKey, 'one')];
    pass(1_000);
    expect((await me.ask<{ viewer: { id: string } }>(VIEWER)).data?.viewer.id).toBe(sub);
  });
});
