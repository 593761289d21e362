import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import type { Lookup, PageCache } from '../cache/cache.ts';
import type { Context, Services } from '../resolvers/context.ts';
import type { TokenVerifier, Viewer } from '../services/tokens.ts';
import { authenticate } from './authentication.ts';
import { endWith } from './body.ts';
import { HEADERS } from './headers.ts';
import type { Metrics } from './metrics.ts';
import { isKnown } from './negotiation.ts';
import type { CacheablePage } from './page-keys.ts';
import type { PageReader } from './page-reader.ts';
import { fromCache, type Pages, type Served } from './pages.ts';
import { etagOf, OF_A_BODY, type PageExchange } from './response-cache.ts';

interface Parts {
  readonly cache: PageCache;
  readonly pages: Pages;
  readonly services: Services;
  readonly tokens: TokenVerifier;
  readonly metrics: Metrics;
}

/** A request that the engine has answered with a page, whoever asked. */
interface Known {
  /** As it was for who asked first. */
  readonly page: CacheablePage;
  /** How to read it where it is not in the cache, if that needs no engine. */
  readonly reader: PageReader | undefined;
  /** The head of its response, names and values in turn, as `writeHead` takes them. */
  readonly head: readonly string[];
}

/** What the front keeps of a request for when the engine has answered it. */
export interface HotExchange extends PageExchange {
  readonly known?: string;
  /** When the request came, as `performance.now()`. */
  readonly began: number;
}

/** Bytes of requests and heads that are remembered, the least recently used forgotten first. */
const MAX_BYTES = 8 * 1024 * 1024;
/** A closure or two, and what they close over. */
const BYTES_A_FIELD = 300;
/** Longer requests are not pages: a text to search for has 200 characters. */
const MAX_REQUEST = 8 * 1024;

/**
 * Answers a page without the engine: a request of the same bytes, with the same headers that an answer
 * depends on, is the same operation, which the engine has parsed, checked and answered before, and differs in
 * nothing but who asks. The token is verified and the cache asked as the engine does, and a page that is not
 * there is read by the same resolvers. What has no page, or an error, is for the engine to tell
 * (docs/decisions).
 */
export function createHotPath({ cache, pages, services, tokens, metrics }: Parts) {
  const knowledge = new LRUCache<string, Known>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ head, reader }, request) =>
      2 * (request.length + head.join('').length) + BYTES_A_FIELD * (reader?.fields ?? 0) + 500,
  });

  /** True if it has answered; otherwise what the engine has to be given along. */
  async function serve(
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer | undefined,
  ): Promise<true | HotExchange> {
    const began = performance.now();
    const identity = identityOf(request, body);
    if (identity === undefined) return { began };
    const known = knowledge.get(identity);
    if (!known) return { known: identity, began };
    const viewer = await authenticate(tokens, request.headers.authorization).catch(() => undefined);
    // The engine says what is wrong.
    if (!viewer) return { known: identity, began };
    const page = { ...known.page, key: { ...known.page.key, userId: viewer.sub } };
    const found = await cache.look(page.key);
    const served = found.kind === 'hit' ? fromCache(found) : await read(page, known, viewer, found);
    if (!served?.page) {
      return {
        known: identity,
        looked: { key: page.key, found },
        began,
        ...(served && { served }),
      };
    }
    const { seq, body: bytes } = served.page;
    const etag = request.method === 'GET' ? etagOf(page.key, seq) : undefined;
    const isSame = etag !== undefined && isKnown(request.headers['if-none-match'], etag);
    const head = headOf(known, served.status, isSame ? undefined : bytes.length, etag);
    response.writeHead(isSame ? 304 : 200, head);
    if (isSame) response.end();
    else endWith(response, bytes);
    metrics.countFront(response.statusCode, served.status, page.key, began);
    return true;
  }

  /** Undefined when only the engine can. */
  async function read(
    page: CacheablePage,
    { reader }: Known,
    viewer: Viewer,
    found: Lookup,
  ): Promise<Served | undefined> {
    if (!reader) return undefined;
    const context: Context = { services, viewer };
    try {
      return await pages.serve(page, context, found, async () => {
        const result = await reader.read(context);
        if (!result) throw ONLY_THE_ENGINE;
        return result;
      });
    } catch (error) {
      if (error === ONLY_THE_ENGINE) return undefined;
      throw error;
    }
  }

  /** After all plugins that have something to say of a response's head. */
  const plugin: Plugin<{ exchange?: HotExchange }> = {
    onResponse({ response, serverContext }) {
      const { known, cached, reader }: Partial<HotExchange> =
        (serverContext as { exchange?: HotExchange }).exchange ?? {};
      if (!known || !cached || response.status !== 200) return;
      knowledge.set(known, {
        page: cached,
        reader,
        head: [...HEADERS, ...response.headers].flat(),
      });
    },
  };

  return { serve, plugin };
}

export type HotPath = ReturnType<typeof createHotPath>;

/** Everything in a request that its answer depends on, but who asks; undefined for what is never a page. */
function identityOf({ method, url, headers }: IncomingMessage, body?: Buffer): string | undefined {
  if (UNUSUAL.some((name) => headers[name] !== undefined)) return undefined;
  const text = body ? body.toString('latin1') : '';
  if (text.length + (url?.length ?? 0) > MAX_REQUEST || !headers.authorization) return undefined;
  // What is in a head has no line breaks, so that no two requests are written alike.
  const head = [method, url, ...DEPENDED_ON.map((name) => headers[name] ?? '')];
  return `${head.join('\n')}\n${text}`;
}

/** A page in which something has an error of its own. */
const ONLY_THE_ENGINE = new Error('Only the engine can answer this page.');

const DEPENDED_ON = ['accept', 'accept-encoding', 'content-type', 'origin'] as const;

/** Never sent with a page's request by a client, and looked at by the engine. */
const UNUSUAL = [
  'content-encoding',
  'access-control-request-method',
  'access-control-request-headers',
] as const;

/** The head as it was learned, with what is another one each time. Without a length: of a 304. */
function headOf(
  { head }: Known,
  cacheStatus: string,
  length: number | undefined,
  etag: string | undefined,
): string[] {
  const written: string[] = [];
  for (let i = 0; i < head.length; i += 2) {
    const name = head[i] as string;
    if (length === undefined && (OF_A_BODY as readonly string[]).includes(name)) continue;
    let value = head[i + 1] as string;
    if (name === 'content-length') value = String(length);
    else if (name === 'cache-status') value = `chatkeep; ${cacheStatus}`;
    else if (name === 'etag' && etag !== undefined) value = etag;
    written.push(name, value);
  }
  return written;
}
