import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, gzip, constants as zlib } from 'node:zlib';
import {
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { CachedPage, Lookup, PageCache, PageKey } from '../cache/cache.ts';
import type { MessageStore } from '../db/messages.ts';
import { ExpectedError } from '../errors.ts';
import type { Context } from '../resolvers/context.ts';
import type { Metrics } from './metrics.ts';
import { chooseEncoding, type Encoding, isKnown } from './negotiation.ts';
import { asksForPage, type CacheablePage, createPageKeys } from './page-keys.ts';

/** An execution result whose body is there already; Yoga sends what `stringify` gives. */
type Result = ExecutionResult & { stringify?: () => string };

/** How a page was answered. */
interface Served {
  readonly result: Result;
  readonly status: string;
  /** What went out, when it is what the cache holds. */
  readonly page?: CachedPage;
}

interface Parts {
  readonly cache: PageCache;
  readonly messages: MessageStore;
  readonly schema: GraphQLSchema;
  readonly metrics: Metrics;
}

/** What others may share of a read: the page, or that PostgreSQL was away; or nothing. */
interface Read {
  readonly page?: CachedPage;
  readonly refused?: Result;
}

/** What the front of the server and the response cache tell each other of one request. */
export interface PageExchange {
  readonly began: number;
  /** What the front found already. */
  readonly looked?: { readonly key: PageKey; readonly found: Lookup };
  /** Which page it was, once it was served from the cache, or so that the next one will be. */
  cached?: CacheablePage;
}

type HttpContext = Context & {
  readonly request?: Request;
  readonly params?: { query?: string };
  readonly exchange?: PageExchange;
};

/** What is said of a page in the head of its response. */
interface Head {
  status: string;
  etag?: string;
  encoding?: Encoding | undefined;
  /** Of which page, when there is one, and since when. */
  answered?: { readonly key: PageKey; readonly began: number };
}

/**
 * Serves history and search pages as the finished bytes of their response, compressed as the client takes
 * them, and never stale ones: see cache/cache.ts. Over HTTP only; says in Cache-Status (RFC 9211) what it
 * did. Asked by GET, a page has an ETag, and a client that has it already is told so (304).
 */
export function useResponseCache({ cache, messages, schema, metrics }: Parts): Plugin<HttpContext> {
  const pageOf = createPageKeys(schema);
  const heads = new WeakMap<Request, Head>();
  /** Misses that are being read just now, so that others can wait for them. */
  const reading = new Map<string, Promise<Read>>();

  type Execute = () => Promise<Result>;

  async function serve(
    page: CacheablePage,
    context: HttpContext,
    encoding: Encoding | undefined,
    execute: Execute,
  ): Promise<Served> {
    const found = await lookFor(page.key, context);
    if (found.kind === 'hit') return fromCache(found);
    if (found.kind === 'away') return { result: await execute(), status: 'fwd=bypass' };
    if (found.kind === 'unleased' && found.stored && context.viewer) {
      try {
        const seq = await messages.seq(context.viewer);
        const renewed = await cache.renew(page.key, seq, found.seenAt);
        if (renewed) return fromCache(renewed);
      } catch (error) {
        // To ask PostgreSQL for the page would only take as long again.
        return { result: refusal(error), status: 'fwd=bypass' };
      }
    }
    const id = idOf(page.key);
    const shared = found.kind === 'miss' ? await reading.get(id) : undefined;
    // Only if it shows what this request has to see: it may have been read before a change that was
    // acknowledged before this request came.
    if (shared?.page && found.kind === 'miss' && shared.page.seq >= found.seq) {
      const { page } = shared;
      return { result: finished(page.body), status: 'fwd=miss; collapsed', page };
    }
    // It took the time that this request has, too.
    if (shared?.refused) return { result: shared.refused, status: 'fwd=miss; collapsed' };
    return readAndFill(page, context, encoding, found, execute);
  }

  function lookFor(key: PageKey, { exchange }: HttpContext): Lookup | Promise<Lookup> {
    const looked = exchange?.looked;
    return looked && idOf(looked.key) === idOf(key) ? looked.found : cache.look(key);
  }

  async function readAndFill(
    page: CacheablePage,
    context: Context,
    encoding: Encoding | undefined,
    found: Extract<Lookup, { seenAt: number }>,
    execute: Execute,
  ): Promise<Served> {
    const id = idOf(page.key);
    let fulfil: (read: Read) => void = () => {};
    const filling = new Promise<Read>((resolve) => {
      fulfil = resolve;
    });
    if (!reading.has(id)) reading.set(id, filling);
    let read: Read = {};
    try {
      const result = await execute();
      const fwd = found.kind === 'miss' && found.stale ? 'fwd=stale' : 'fwd=uri-miss';
      if (isAway(result)) read = { refused: { ...result } };
      if (result.errors || !context.page?.settled) return { result, status: fwd };
      const body = await encode(Buffer.from(JSON.stringify(result)), encoding);
      const filled = { seq: context.page.seq, body };
      read = { page: filled };
      const stored =
        body.length <= MAX_STORED_BYTES &&
        (await cache.fill(page.key, filled, found.seenAt, page.ttlSeconds));
      const status = stored ? `${fwd}; stored` : fwd;
      return { result: finished(body), status, page: filled };
    } finally {
      if (reading.get(id) === filling) reading.delete(id);
      fulfil(read);
    }
  }

  return {
    onExecute({ args, executeFn, setExecuteFn }) {
      const { request, params, viewer, exchange } = args.contextValue;
      if (!request || !asksForPage(args.document)) return;
      const head: Head = { status: 'fwd=bypass' };
      heads.set(request, head);
      const encoding = chooseEncoding(request.headers.get('accept-encoding'));
      const page =
        viewer && pageOf(args as ExecutionArgs, params?.query ?? '', viewer.sub, encoding);
      if (!page) return;
      setExecuteFn(async (executeArgs: ExecutionArgs) => {
        const execute = async () => (await executeFn(executeArgs)) as Result;
        const context = executeArgs.contextValue as HttpContext;
        const served = await serve(page, context, encoding, execute);
        head.status = served.status;
        if (exchange && !served.result.errors) {
          head.answered = { key: page.key, began: exchange.began };
        }
        if (!served.page) return served.result;
        head.encoding = encoding;
        if (request.method === 'GET') head.etag = etagOf(page.key, served.page.seq);
        if (exchange) exchange.cached = page;
        return served.result;
      });
    },
    onParse:
      () =>
      ({ context, result }) => {
        // Also when validation fails, and nothing is executed.
        const { request } = context;
        if (request && 'kind' in (result ?? {}) && asksForPage(result)) {
          heads.set(request, { status: 'fwd=bypass' });
        }
      },
    onResponse({ request, response, setResponse, fetchAPI }) {
      const head = heads.get(request);
      if (!head) return;
      const { headers } = response;
      headers.append('vary', VARY);
      headers.set('cache-status', `chatkeep; ${head.status}`);
      if (head.answered) {
        metrics.countPage(head.answered.key, head.status === 'hit', head.answered.began);
      }
      if (head.encoding) headers.set('content-encoding', head.encoding);
      if (!head.etag) return;
      headers.set('cache-control', REVALIDATED);
      headers.set('etag', head.etag);
      if (!isKnown(request.headers.get('if-none-match'), head.etag)) return;
      for (const name of OF_A_BODY) headers.delete(name);
      setResponse(new fetchAPI.Response(null, { status: 304, headers }));
    },
  };
}

/**
 * Larger pages, as they go out, come from PostgreSQL each time. A connection to Redis carries one answer after
 * the other: a dozen pages of 9 MB held everybody's small ones up for 800 ms, and let Redis seem away.
 */
const MAX_STORED_BYTES = 1024 * 1024;

/** As the engine puts what a resolver threw. */
function refusal(error: unknown): Result {
  const { message } = error as Error;
  return { data: null, errors: [new GraphQLError(message, { originalError: error as Error })] };
}

const isAway = ({ errors = [] }: Result): boolean =>
  errors.some(
    ({ originalError }) =>
      originalError instanceof ExpectedError && originalError.code === 'SERVICE_UNAVAILABLE',
  );

/** What another request for the same page may get another answer for. */
const VARY = 'Authorization, Accept, Accept-Encoding';

/** A browser may keep a page, for its user alone, and has to ask each time whether it is the same. */
const REVALIDATED = 'private, no-cache';

/** What a 304 does not have (RFC 9110, 15.4.5). */
export const OF_A_BODY = ['content-type', 'content-length', 'content-encoding'] as const;

/**
 * A strong tag: the bytes are a function of what the key holds (the user, the document, the variables, the
 * schema, the encoding) and of the number of the user's last change.
 */
export function etagOf(key: PageKey, seq: bigint): string {
  const digest = createHash('sha256')
    .update(`${idOf(key)}\n${seq}`)
    .digest('base64url');
  return `"${digest.slice(0, 22)}"`;
}

const idOf = ({ prefix, userId, suffix }: PageKey) => `${prefix}\n${userId}\n${suffix}`;

const fromCache = (page: CachedPage): Served => ({
  result: finished(page.body),
  status: 'hit',
  page,
});

/** The body goes out as it is: a Response takes bytes as well as a string. */
function finished(body: Buffer): Result {
  return { data: {}, stringify: () => body as unknown as string };
}

/** Higher qualities take longer than what they save on the way is worth. */
const BROTLI = { params: { [zlib.BROTLI_PARAM_QUALITY]: 4 } };

async function encode(body: Buffer, encoding: Encoding | undefined): Promise<Buffer> {
  if (encoding === 'br') return promisify(brotliCompress)(body, BROTLI);
  return encoding === 'gzip' ? promisify(gzip)(body) : body;
}
