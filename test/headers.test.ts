import { type IncomingHttpHeaders, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, HISTORY, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';

let server: TestServer;
let me: Client;

beforeAll(async () => {
  server = await startServer();
  me = await signIn(server);
});
afterAll(() => server.stop());

interface Asked {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

function ask({ path, method = 'GET', headers = {}, body }: Asked) {
  return new Promise<{ status: number; headers: IncomingHttpHeaders }>((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    const options = { hostname, port, path, method, headers, agent: false };
    request(options, (response) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
      response.destroy();
    })
      .on('error', reject)
      .end(body);
  });
}

const BROWSER = { accept: 'text/html' };
const JSON_BODY = { 'content-type': 'application/json' };
const graphql = (query: string, headers: Record<string, string> = {}) => ({
  path: '/graphql',
  method: 'POST',
  headers: { ...JSON_BODY, ...headers },
  body: JSON.stringify({ query }),
});
const spec = { accept: 'application/graphql-response+json' };

/** Every kind of answer that is no page: its status, and how it is had. */
const ANSWERS: readonly (readonly [what: string, status: number, asked: () => Asked])[] = [
  ['data', 200, () => graphql('{ __typename }')],
  ['data by GET', 200, () => ({ path: '/graphql?query=%7B__typename%7D' })],
  ['a page of the history', 200, () => graphql(HISTORY, { authorization: `Bearer ${me.token}` })],
  ['the same from the cache', 200, () => graphql(HISTORY, { authorization: `Bearer ${me.token}` })],
  [
    'a stream of events',
    200,
    () =>
      graphql('subscription { messageAdded { id } }', {
        accept: 'text/event-stream',
        authorization: `Bearer ${me.token}`,
      }),
  ],
  ['a document that is no good', 400, () => graphql('{', spec)],
  ['no token', 401, () => graphql('{ viewer { id } }', spec)],
  ['a mutation by GET', 405, () => ({ path: '/graphql?query=mutation%7B__typename%7D' })],
  [
    'a preflight',
    204,
    () => ({ path: '/graphql', method: 'OPTIONS', headers: { origin: 'https://a.example' } }),
  ],
  ['a form', 415, () => ({ ...graphql(''), headers: { 'content-type': 'text/plain' } })],
  [
    'a body that is too large',
    413,
    () => ({ ...graphql(''), headers: { ...JSON_BODY, 'content-length': '99999999' } }),
  ],
  ['a body that is no JSON', 400, () => ({ ...graphql(''), body: '{' })],
  ['a Host that is none', 400, () => ({ path: '/graphql', headers: { host: '[' } })],
  ['nothing that is acceptable', 406, () => graphql('{ __typename }', { accept: 'image/png' })],
  ['/health', 200, () => ({ path: '/health' })],
  ['/ready', 200, () => ({ path: '/ready' })],
  ['/metrics', 200, () => ({ path: '/metrics' })],
  ['/status for a machine', 200, () => ({ path: '/status' })],
  ['what is not there', 404, () => ({ path: '/etc/passwd' })],
  ['what GraphiQL does not have', 404, () => ({ path: '/graphiql/page.ts' })],
  ['what is not read', 405, () => ({ path: '/', method: 'POST', body: '{}' })],
];

describe('an answer', () => {
  it.each(ANSWERS)('is what it says, and loads and runs nothing: %s', async (_, status, asked) => {
    const answer = await ask(asked());
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy':
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
    });
    silent(answer.headers);
  });
});

/** Nothing says what runs here, signs anybody in, or speaks for the whole host. */
function silent(headers: IncomingHttpHeaders): void {
  for (const name of ['x-powered-by', 'server', 'set-cookie', 'strict-transport-security'])
    expect(headers).not.toHaveProperty(name);
}

describe('a page and its files', () => {
  it.each([
    ['the page', { path: '/', headers: BROWSER }, 'none'],
    ['a page of its own', { path: '/search?q=a', headers: BROWSER }, 'none'],
    ['the page, unchanged', { path: '/', headers: { ...BROWSER, 'if-none-match': '*' } }, 'none'],
    ['its script', { path: 'script', headers: BROWSER }, 'none'],
    ['its style', { path: 'style', headers: BROWSER }, 'none'],
    ['its worker', { path: '/sw.js' }, 'none'],
    ['its icon', { path: '/icon.svg' }, 'none'],
    ['its manifest', { path: '/manifest.webmanifest' }, 'none'],
    ['the state', { path: '/status', headers: BROWSER }, 'none'],
    ["the state's style", { path: '/status/style.css', headers: BROWSER }, 'none'],
    ["the state's script", { path: '/status/page.js', headers: BROWSER }, 'none'],
    ['GraphiQL', { path: '/graphql', headers: BROWSER }, 'styles'],
    ["GraphiQL's script", { path: '/graphiql/page.js' }, 'styles'],
    ["GraphiQL's worker", { path: '/graphiql/graphql.worker.js' }, 'styles'],
  ])('come from here alone and run nothing inline: %s', async (_, asked, inline) => {
    const html = await (await fetch(server.url, { headers: BROWSER })).text();
    const link = { script: /src="(\/assets\/[^"]+\.js)"/, style: /href="(\/assets\/[^"]+\.css)"/ };
    const pattern = link[asked.path as keyof typeof link];
    const path = pattern ? (pattern.exec(html)?.[1] as string) : asked.path;
    const { status, headers } = await ask({ ...asked, path });
    expect([200, 304], path).toContain(status);
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'permissions-policy': expect.stringContaining('camera=()'),
    });
    silent(headers);
    const policy = new Map(
      (headers['content-security-policy'] as string)
        .split('; ')
        .map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1)]),
    );
    for (const name of ['default-src', 'base-uri', 'form-action', 'frame-ancestors'])
      expect(policy.get(name), name).toEqual(["'none'"]);
    expect(policy.get('script-src')).toEqual(["'self'"]);
    expect(policy.get('connect-src')).toEqual(["'self'"]);
    // Monaco writes its lines with style attributes.
    const ofStyles = inline === 'styles' ? ["'self'", "'unsafe-inline'"] : ["'self'"];
    expect(policy.get('style-src')).toEqual(ofStyles);
    const { 'style-src': _styles, ...others } = Object.fromEntries(policy);
    expect(JSON.stringify(others)).not.toMatch(/unsafe|\*|https?:|blob:/);
  });

  it('hold no style and no script within the page that the policy would stop', async () => {
    const html = await (await fetch(server.url, { headers: BROWSER })).text();
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=/);
    for (const [, attributes] of html.matchAll(/<script([^>]*)>/g))
      expect(attributes).toMatch(/ src="\/|type="application\/json"/);
  });
});
