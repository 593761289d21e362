import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, startServerForTest, type TestServer } from './kit/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

const get = (path: string, headers: Record<string, string> = {}, from = server) =>
  fetch(from.url + path, { headers });

interface Raw {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** As it went over the wire: fetch resolves dots in paths, and unpacks. */
function raw(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    httpRequest({ hostname, port, path, method, headers }, async (response) => {
      const body = Buffer.concat(await response.toArray());
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
    })
      .on('error', reject)
      .end();
  });
}

const settingsIn = (html: string) =>
  JSON.parse(
    /<script id="settings" type="application\/json">(.*?)<\/script>/.exec(html)?.[1] ?? '',
  );

async function scriptOf(from = server): Promise<string> {
  const html = await (await get('/', {}, from)).text();
  return /src="(\/assets\/[^"]+\.js)"/.exec(html)?.[1] ?? '';
}

describe('the page', () => {
  it('is what any address shows in a browser', async () => {
    const pages = ['/', '/?a=b', '/search?q=spring', '/m/0199a0c4-0000-7000-8000-000000000000'];
    const shown = await Promise.all(pages.map(async (path) => (await get(path, BROWSER)).text()));
    expect(shown[0]).toContain('<div id="root">');
    expect(new Set(shown).size).toBe(1);
  });

  it('is at / whatever is accepted, and elsewhere for browsers only', async () => {
    expect((await raw('/')).status).toBe(200);
    expect((await raw('/', { accept: 'application/json' })).status).toBe(200);
    expect((await get('/search')).status).toBe(404);
    expect((await fetch(`${server.url}/`, { method: 'POST' })).status).toBe(405);
  });

  it('is asked for anew each time, and not sent again unchanged', async () => {
    const page = await get('/', BROWSER);
    expect(page.headers.get('cache-control')).toBe('no-cache');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const etag = page.headers.get('etag') as string;
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await get('/m/1', { ...BROWSER, 'if-none-match': known });
      expect([again.status, again.headers.get('etag'), await again.text()]).toEqual([
        304,
        etag,
        '',
      ]);
    }
    expect((await get('/', { 'if-none-match': '"other"' })).status).toBe(200);
  });

  it('may load and run nothing but what this server has', async () => {
    const { headers } = await get('/', BROWSER);
    const policy = (headers.get('content-security-policy') as string).split('; ');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("style-src 'self'");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy.join()).not.toMatch(/unsafe|\*/);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
  });
});

describe('its settings', () => {
  const pageOf = async (env: Record<string, string>) =>
    get('/', BROWSER, await startServerForTest({ env }));

  it('say whose accounts there are', async () => {
    expect(settingsIn(await (await get('/')).text())).toEqual({
      accounts: 'own',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  it('say where Supabase is, which the page may reach then', async () => {
    const page = await pageOf({
      SUPABASE_URL: 'https://project.supabase.co/',
      SUPABASE_ANON_KEY: 'sb_publishable_1',
    });
    expect(settingsIn(await page.text())).toMatchObject({
      accounts: 'supabase',
      supabaseUrl: 'https://project.supabase.co/',
      supabaseKey: 'sb_publishable_1',
    });
    expect(page.headers.get('content-security-policy')).toContain(
      "connect-src 'self' https://project.supabase.co;",
    );
  });

  it('leave out what is not known', async () => {
    const page = await pageOf({ SUPABASE_JWT_SECRET: 'a secret of thirty-two characters' });
    const html = await page.text();
    expect(settingsIn(html)).toEqual({ accounts: 'supabase', version: expect.any(String) });
    expect(html).not.toContain('secret');
  });

  it('cannot end the element that they are in', async () => {
    const supabaseUrl = 'https://a.supabase.co/</script><script>$&alert(1)</script>';
    const html = await (await pageOf({ SUPABASE_URL: supabaseUrl })).text();
    expect(html).not.toContain('<script>$');
    expect(settingsIn(html)).toMatchObject({ supabaseUrl });
  });
});

describe('its files', () => {
  it('are kept for ever where their name holds a hash', async () => {
    const script = await get(await scriptOf());
    expect(script.status).toBe(200);
    expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  });

  it('come as small as the client can unpack', async () => {
    const path = await scriptOf();
    const plain = await raw(path);
    expect(plain.headers['content-encoding']).toBeUndefined();
    const expected: Record<string, string | undefined> = {
      'gzip, deflate, br, zstd': 'br',
      gzip: 'gzip',
      GZIP: 'gzip',
      'br;q=0, gzip;q=0.5': 'gzip',
      'br;q=0.1, gzip': 'gzip',
      '*': 'br',
      'deflate, identity': undefined,
      'br;q=0': undefined,
    };
    const tags = new Set([plain.headers.etag]);
    for (const [accepted, encoding] of Object.entries(expected)) {
      const { headers, body } = await raw(path, { 'accept-encoding': accepted });
      expect(headers['content-encoding'], accepted).toBe(encoding);
      expect(headers.vary).toBe('accept-encoding');
      expect(headers['content-length']).toBe(`${body.length}`);
      const unpacked =
        { br: brotliDecompressSync, gzip: gunzipSync }[encoding ?? ''] ?? Buffer.from;
      expect(plain.body.equals(unpacked(body)), accepted).toBe(true);
      tags.add(headers.etag);
    }
    expect(tags.size).toBe(3);
  });

  it('are not sent for HEAD, nor if they are known', async () => {
    const path = await scriptOf();
    const sent = await raw(path, { 'accept-encoding': 'br' });
    const head = await raw(path, { 'accept-encoding': 'br' }, 'HEAD');
    expect(head.body).toHaveLength(0);
    const without = ({ date, ...headers }: IncomingHttpHeaders) => headers;
    expect(without(head.headers)).toEqual(without(sent.headers));
    const known = { 'accept-encoding': 'br', 'if-none-match': sent.headers.etag ?? '' };
    expect((await raw(path, known)).status).toBe(304);
    expect((await raw(path, { ...known, 'accept-encoding': 'gzip' })).status).toBe(200);
  });

  it('are all that there is', async () => {
    const script = await scriptOf();
    for (const path of [
      '/assets/nope.js',
      '/assets/',
      `${script}.br`,
      '/assets/../index.html',
      '/assets/%2e%2e/index.html',
    ]) {
      expect((await raw(path, BROWSER)).status, path).toBe(404);
    }
    for (const path of [
      '/index.html',
      '/../package.json',
      '/%2e%2e/package.json',
      '/..%2fpackage.json',
      '/..\\..\\package.json',
      '/%5c..%5cpackage.json',
      '//etc/passwd',
      '/__proto__',
      '/%00',
      '/%',
    ]) {
      expect((await raw(path)).status, path).toBe(404);
      const { status, body } = await raw(path, BROWSER);
      expect([status, body.toString().slice(0, 15)], path).toEqual([200, '<!doctype html>']);
    }
  });
});
