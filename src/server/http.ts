import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { putBack, readBody } from './body.ts';
import type { ConnectionLimits } from './connections.ts';
import type { ErrorMask } from './errors.ts';
import { type Graphql, MAX_BODY_BYTES } from './graphql.ts';
import type { Graphiql } from './graphiql.ts';
import { HEADERS } from './headers.ts';
import type { HotPath } from './hot-path.ts';
import type { Metrics } from './metrics.ts';
import type { StatusPages } from './status.ts';
import { type Web, wantsPage } from './web.ts';

export interface Readiness {
  readonly postgres: 'up' | 'down';
  /** Redis being away is told, and no reason to take no requests. */
  readonly redis: 'up' | 'down' | 'none';
}

interface Parts {
  readonly graphql: Graphql;
  readonly hotPath: HotPath;
  readonly graphiql: Graphiql | undefined;
  readonly web: Web;
  readonly metrics: Metrics;
  readonly status: StatusPages;
  readonly maskError: ErrorMask;
  readonly limits: ConnectionLimits;
  readonly readiness: () => Promise<Readiness>;
}

/** The HTTP side of the contract's table of addresses. */
export function createHttpServer(parts: Parts): Server {
  const { graphql, hotPath, graphiql, web, metrics, status, maskError, limits, readiness } = parts;
  const times = {
    headersTimeout: limits.headMs,
    requestTimeout: limits.requestMs,
    // Node looks every 30 s, however short these are.
    connectionsCheckingInterval: Math.min(limits.headMs / 4, 5_000),
    // Longer than load balancers keep a connection (60 s): who closes first must not be us.
    keepAliveTimeout: 65_000,
  };
  const server = createServer(times, (request, response) => {
    route(request, response).catch((error: unknown) => {
      // Whoever asked has gone.
      if (request.errored || response.destroyed) return;
      const masked = { errors: [maskError(error)] };
      if (response.headersSent) response.end();
      else send(response, 500, masked);
    });
  });
  return server;

  /** An answer that nobody reads would else stay in memory for ever; one that is waited for may take long. */
  function watch({ socket }: IncomingMessage, response: ServerResponse): void {
    response.setTimeout(limits.stillMs, () => {
      if (socket.writableLength > 0) socket.destroy();
    });
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pathname = pathOf(request);
    const isPage = pathname === '/graphql' && graphiql !== undefined && wantsPage(request);
    if (pathname === '/graphql' && !isPage) return operate(request, response);
    watch(request, response);
    introduce(response);
    if (isPage) return graphiql.serve('index.html', request, response);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return send(response, 405, '');
    }
    if (pathname === '/health') return send(response, 200, 'ok\n');
    if (pathname === '/ready') {
      const state = await readiness();
      return send(response, state.postgres === 'up' ? 200 : 503, state);
    }
    if (pathname === '/metrics') {
      return send(response, 200, await metrics.print(), metrics.contentType);
    }
    if (pathname === '/status') return status.serve(request, response);
    if (pathname.startsWith('/status/')) {
      const name = pathname.slice('/status/'.length);
      if (status.serveFile(name, request, response)) return;
    }
    if (graphiql && pathname.startsWith('/graphiql/')) {
      return graphiql.serve(pathname.slice('/graphiql/'.length), request, response);
    }
    return web.serve(pathname, request, response);
  }

  async function operate(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = refuse(request);
    if (refusal) return sendRefusal(response, refusal);
    const body = request.method === 'POST' ? await readBody(request, MAX_BODY_BYTES) : undefined;
    if (request.method === 'POST' && !body) return sendRefusal(response, TOO_LARGE);
    const exchange = await hotPath.serve(request, response, body);
    // Most pages are on their way at once: a timer for each costs more than to look.
    if (!response.writableEnded || response.writableLength > 0) watch(request, response);
    if (exchange === true) return;
    introduce(response);
    if (body) putBack(request, body);
    await graphql(request, response, { exchange });
  }
}

/** The path as it was asked for; not through URL, which throws at what some send. */
export const pathOf = ({ url = '/' }: IncomingMessage): string => url.split('?', 1)[0] ?? '/';

/**
 * Who is at the other end: as the last proxy saw it, where there is one (its entry stands last in
 * X-Forwarded-For, those before it are whatever the client wrote).
 */
export function addressOf({ headers, socket }: IncomingMessage, trustProxy: boolean): string {
  const forwarded = trustProxy ? [headers['x-forwarded-for'] ?? []].flat().join(',') : '';
  return forwarded.split(',').at(-1)?.trim() || (socket.remoteAddress ?? '');
}

/** Resolves with the address once the server takes requests. */
export function listen(server: Server, port: number, host: string): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve(server.address() as AddressInfo);
    });
  });
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** What is refused by its head alone, before a byte of its body is read. */
function refuse({ method, headers }: IncomingMessage): Refusal | undefined {
  // The engine makes a URL of it, and answers with a stack trace when it cannot (RFC 9112, 3.2: 400).
  if (!isHost(headers.host)) return badRequest(400, 'Host is not the name of a host.');
  if (method !== 'POST') return undefined;
  // Forms and plain text are what other sites can make a browser send.
  if (!JSON_TYPE.test(headers['content-type'] ?? ''))
    return badRequest(415, 'Send application/json.');
  // In UTF-8, whatever charset says, and in the one spelling that the engine knows.
  headers['content-type'] = 'application/json';
  if (headers['content-encoding']) return badRequest(415, 'Send it as it is, not encoded.');
  return Number(headers['content-length'] ?? 0) > MAX_BODY_BYTES ? TOO_LARGE : undefined;
}

const TOO_LARGE: Refusal = {
  status: 413,
  code: 'QUERY_TOO_COMPLEX',
  message: `A request may have ${MAX_BODY_BYTES} bytes.`,
};

const JSON_TYPE = /^application\/(graphql\+)?json\s*(;|$)/i;

const badRequest = (status: number, message: string): Refusal => ({
  status,
  code: 'BAD_USER_INPUT',
  message,
});

const isHost = (host = ''): boolean =>
  host === '' || (/^[\w.:[\]-]+$/.test(host) && URL.canParse(`http://${host}/`));

function sendRefusal(response: ServerResponse, { status, code, message }: Refusal): void {
  // The rest of the body is not read: the connection ends with this answer.
  response.setHeader('connection', 'close');
  response.setHeader('access-control-allow-origin', '*');
  send(response, status, { errors: [{ message, extensions: { code } }] });
}

/**
 * What stands in every answer's head. The front writes it together with the rest: a head that is begun
 * beforehand, Node puts together name by name.
 */
function introduce(response: ServerResponse): void {
  for (const [name, value] of HEADERS) response.setHeader(name, value);
}

function send(response: ServerResponse, status: number, body: unknown, type?: string): void {
  introduce(response);
  const isText = typeof body === 'string';
  response.writeHead(status, {
    'content-type': type ?? (isText ? 'text/plain; charset=utf-8' : 'application/json'),
    'cache-control': 'no-store',
  });
  response.end(isText ? body : `${JSON.stringify(body)}\n`);
}
