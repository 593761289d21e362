import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createZippedFile, type File, sendFile } from './file.ts';
import { PAGE_HEADERS, policy } from './headers.ts';
import type { Readiness } from './http.ts';
import type { MetricValues, Metrics } from './metrics.ts';
import { type Status, statusPage } from './status-page.ts';
import { successOf } from './success.ts';
import { readVersion } from './version.ts';
import { wantsPage } from './web.ts';

const web = new URL('../../web/', import.meta.url);

const HEADERS = {
  ...PAGE_HEADERS,
  'content-security-policy': policy({
    'script-src': "'self'",
    'style-src': "'self'",
    'img-src': 'data:',
    'connect-src': "'self'",
  }),
};

interface Parts {
  readonly metrics: Metrics;
  readonly readiness: () => Promise<Readiness>;
}

/**
 * `/status`: how it is doing, beside what was promised. For people as a page, for machines as JSON. Like
 * `/metrics` it is for whoever gets to it, and tells of no user.
 */
export async function createStatus({ metrics, readiness }: Parts) {
  const version = await readVersion();
  const files = new Map<string, File>([
    ['style.css', await createZippedFile('style.css', await read(...STYLES))],
    ['page.js', await createZippedFile('page.js', await read('status/page.js'))],
  ]);

  async function look(): Promise<Status> {
    const [ready, values] = await Promise.all([readiness(), metrics.read()]);
    return {
      ...ready,
      version,
      upSeconds: Math.max(0, Date.now() / 1000 - gaugeOf(values, 'chatkeep_start_time_seconds')),
      processes: gaugeOf(values, 'chatkeep_processes'),
      measures: successOf(values),
    };
  }

  return {
    /** Answers a GET or HEAD for the page, as the client takes it. */
    async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
      const status = await look();
      const isPage = wantsPage(request);
      const body = isPage ? statusPage(status) : `${JSON.stringify(status)}\n`;
      response.writeHead(200, {
        ...(isPage && HEADERS),
        'content-type': isPage ? 'text/html; charset=utf-8' : 'application/json',
        'cache-control': 'no-store',
        vary: 'accept',
      });
      response.end(body);
    },
    /** Answers for one of its files; false: there is none of that name. */
    serveFile(name: string, request: IncomingMessage, response: ServerResponse): boolean {
      const file = files.get(name);
      if (file) sendFile(file, { ...HEADERS, 'cache-control': 'no-cache' }, request, response);
      return file !== undefined;
    },
  };
}

export type StatusPages = Awaited<ReturnType<typeof createStatus>>;

/** The web client's colours, sizes and spaces, and what is this page's own. */
const STYLES = ['src/styles/tokens.css', 'status/status.css'];

const read = async (...names: readonly string[]): Promise<Buffer> =>
  Buffer.concat(await Promise.all(names.map((name) => readFile(new URL(name, web)))));

const gaugeOf = (values: MetricValues, metric: string): number =>
  values.find(({ name }) => name === metric)?.values[0]?.value ?? 0;
