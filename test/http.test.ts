import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, clientOf, failureOf, HISTORY, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';

let server: TestServer;
let me: Client;

beforeAll(async () => {
  server = await startServer();
  me = await signIn(server);
});
afterAll(() => server.stop());

describe('GraphQL over HTTP', () => {
  const audits = serverAudits({
    url: () => `${server.url}/graphql`,
    fetchFn: (url: string, init?: RequestInit) =>
      fetch(url, {
        ...init,
        headers: {
          ...(init?.headers as Record<string, string>),
          authorization: `Bearer ${me.token}`,
        },
      }),
  });

  it.each(audits.map((audit) => [audit.name, audit] as const))('%s', async (name, audit) => {
    const result = await audit.fn();
    // MAY is not asked for; MUST and SHOULD are.
    if (name.startsWith('MAY')) return;
    expect(result.status, JSON.stringify(result)).toBe('ok');
  });

  it('answers queries by GET, and mutations only by POST', async () => {
    const get = (query: string) =>
      fetch(`${server.url}/graphql?query=${encodeURIComponent(query)}`, {
        headers: { authorization: `Bearer ${me.token}`, accept: 'application/json' },
      });
    const read = await get('{ chatHistory { nodes { id } } }');
    expect(await read.json()).toEqual({ data: { chatHistory: { nodes: [] } } });
    expect((await get('mutation { signInAsGuest { accessToken } }')).status).toBe(405);
  });

  it('lets pages of other origins ask, without credentials of the browser', async () => {
    const preflight = await fetch(`${server.url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(preflight.headers.get('access-control-allow-credentials')).toBeNull();
    expect(preflight.headers.get('access-control-allow-headers')).toMatch(/authorization/i);
  });
});

describe('documents and bodies that are no good', () => {
  it.each([
    ['{', 'GRAPHQL_PARSE_FAILED'],
    ['', 'GRAPHQL_PARSE_FAILED'],
    ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
    ['query ($x: Nothing) { viewer { id } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['query ($x: Int!) { chatHistory(first: $x) { nodes { id } } }', 'BAD_USER_INPUT'],
    ['{ message(id: "1") { id } }', 'BAD_USER_INPUT id'],
    ['query A { __typename } query B { __typename }', 'BAD_USER_INPUT'],
  ])('%# gets %s', async (query, code) => {
    const answer = await me.ask(query);
    expect(failureOf(answer)).toBe(code);
  });
});

describe('operations', () => {
  it('tells that it lives, and that it is ready', async () => {
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    const ready = await fetch(`${server.url}/ready`);
    expect([ready.status, await ready.json()]).toEqual([200, { postgres: 'up', redis: 'none' }]);
  });

  it('counts for Prometheus', async () => {
    await me.data(HISTORY);
    await me.data(HISTORY);
    const metrics = await fetch(`${server.url}/metrics`);
    expect(metrics.headers.get('content-type')).toMatch(/text\/plain/);
    const text = await metrics.text();
    expect(text).toMatch(/chatkeep_http_requests_total\{status="200",cache="hit"\} [1-9]/);
    expect(text).toMatch(/chatkeep_replies_running 0/);
    expect(text).toMatch(/process_cpu_seconds_total/);
  });

  it('knows no other address', async () => {
    expect((await fetch(`${server.url}/etc/passwd`)).status).toBe(404);
    expect((await fetch(`${server.url}/graphiql/..%2f..%2fpackage.json`)).status).toBe(404);
    expect((await fetch(`${server.url}//`)).status).toBe(404);
    expect((await fetch(`${server.url}/health`, { method: 'POST' })).status).toBe(405);
  });

  it('serves GraphiQL to a browser, from its own files', async () => {
    const page = await fetch(`${server.url}/graphql`, { headers: { accept: 'text/html,*/*' } });
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self';");
    const html = await page.text();
    const links = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, link]) => link);
    expect(links.length).toBeGreaterThan(3);
    for (const link of [...links, '/graphiql/graphql-ws/client.js', '/graphiql/json.worker.js']) {
      expect((await fetch(server.url + link)).status, link).toBe(200);
    }
    const [first] = links;
    const { headers } = await fetch(server.url + first);
    const again = await fetch(server.url + first, {
      headers: { 'if-none-match': headers.get('etag') as string },
    });
    expect(again.status).toBe(304);
  });

  it('asks nobody to sign in for what needs no user', async () => {
    expect(await clientOf(server).data('{ __typename }')).toEqual({ __typename: 'Query' });
  });
});
