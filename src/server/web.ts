import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import { createFile, type File, sendFile } from './file.ts';
import { PAGE_HEADERS, policy } from './headers.ts';
import { readVersion } from './version.ts';

const built = fileURLToPath(new URL('../../dist/web/', import.meta.url));

/** An asset's name holds a hash of what is in it. */
const FOR_EVER = 'public, max-age=31536000, immutable';

/** Whose accounts the web client signs in to; with Supabase's URL but no key it can only say so. */
export type WebAccounts =
  | { readonly accounts: 'own' }
  | {
      readonly accounts: 'supabase';
      readonly supabaseUrl?: string;
      readonly supabaseKey?: string;
    };

/**
 * The built web client, all of it in memory: what is not in the map is not served, however its path is
 * written. Every other page a browser asks for is the client's own affair and gets `index.html`.
 */
export async function createWeb(accounts: WebAccounts) {
  const files = await readFiles();
  const index = files.get('/index.html');
  files.delete('/index.html');
  const page = index && (await fillIn(index, { ...accounts, version: await readVersion() }));
  const shared = { ...PAGE_HEADERS, 'content-security-policy': policyFor(accounts) };

  const send = (file: File, caching: string, request: IncomingMessage, response: ServerResponse) =>
    sendFile(file, { ...shared, 'cache-control': caching }, request, response);

  return {
    /** Answers a GET or HEAD for one of the client's files or pages, or with 404. */
    serve(pathname: string, request: IncomingMessage, response: ServerResponse): void {
      const file = files.get(pathname);
      const isAsset = pathname.startsWith('/assets/');
      const isPage = pathname === '/' || (!isAsset && wantsPage(request));
      if (file) send(file, isAsset ? FOR_EVER : 'no-cache', request, response);
      else if (!isPage) sendText(response, 404, 'Not found\n');
      else if (page) send(page, 'no-cache', request, response);
      else sendText(response, 503, 'The web client is not built: npm run build.\n');
    },
  };
}

export type Web = Awaited<ReturnType<typeof createWeb>>;

/** Whether it is a browser that asks, for something to show. */
export const wantsPage = ({ method, headers }: IncomingMessage): boolean =>
  (method === 'GET' || method === 'HEAD') && /\btext\/html\b/.test(headers.accept ?? '');

/** By path; those that the build compressed have their `.br` and `.gz` with them. */
async function readFiles(): Promise<Map<string, File>> {
  const entries = await readdir(built, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const bytes = new Map(
    await Promise.all(paths.map(async (path) => [path, await readFile(path)] as const)),
  );
  const files = new Map<string, File>();
  for (const [path, body] of bytes) {
    if (/\.(br|gz)$/.test(path)) continue;
    const br = bytes.get(`${path}.br`);
    const gz = bytes.get(`${path}.gz`);
    const name = path.slice(built.length).split(sep).join('/');
    files.set(`/${name}`, createFile(name, body, { ...(br && { br }), ...(gz && { gzip: gz }) }));
  }
  return files;
}

/** The page with what only this server knows, where the client's own script reads it. */
async function fillIn(index: File, settings: object): Promise<File> {
  const json = JSON.stringify(settings).replaceAll('<', '\\u003c');
  const body = Buffer.from(
    // A function: a string's $& would mean something.
    index.body.toString().replace(/(<script id="settings"[^>]*>).*?(?=<)/s, (_, tag) => tag + json),
  );
  return createFile('index.html', body, {
    br: await promisify(brotliCompress)(body),
    gzip: await promisify(gzip)(body),
  });
}

/** Nothing comes from another host, nothing inline runs, and nobody frames the page. */
function policyFor(accounts: WebAccounts): string {
  const supabase = accounts.accounts === 'supabase' && accounts.supabaseUrl;
  return policy({
    'script-src': "'self'",
    'style-src': "'self'",
    'img-src': "'self' data:",
    'font-src': "'self'",
    'connect-src': supabase ? `'self' ${new URL(supabase).origin}` : "'self'",
    'manifest-src': "'self'",
    'worker-src': "'self'",
  });
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
    })
    .end(text);
}
