import { createHash } from 'node:crypto';
import { type ExecutionArgs, type GraphQLSchema, locatedError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Lookup, PageCache, PageKey } from '../cache/cache.ts';
import type { Context } from '../resolvers/context.ts';
import type { Metrics } from './metrics.ts';
import { chooseEncoding, type Encoding, isKnown } from './negotiation.ts';
import { asksForPage, type CacheablePage, createPageKeys, type RootField } from './page-keys.ts';
import { createPageReaders, keyOf, type PageReader } from './page-reader.ts';
import { idOf, type Pages, type Result, type Served } from './pages.ts';

interface Parts {
  readonly cache: PageCache;
  readonly pages: Pages;
  readonly schema: GraphQLSchema;
  readonly metrics: Metrics;
}

/** What the front of the server and the response cache tell each other of one request. */
export interface PageExchange {
  readonly began: number;
  /** What the front found already. */
  readonly looked?: { readonly key: PageKey; readonly found: Lookup };
  /** What the front read already, and cannot send. */
  readonly served?: Served;
  /** Which page it was, once it was served from the cache, or so that the next one will be. */
  cached?: CacheablePage;
  /** How it is read, if the engine is not needed for that. */
  reader?: PageReader | undefined;
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
 * Has pages served by server/pages.ts. Over HTTP only; says in Cache-Status (RFC 9211) what was done. Asked by
 * GET, a page has an ETag, and a client that has it already is told so (304).
 */
export function useResponseCache({ cache, pages, schema, metrics }: Parts): Plugin<HttpContext> {
  const pageOf = createPageKeys(schema);
  const readerOf = createPageReaders(schema);
  const heads = new WeakMap<Request, Head>();

  function lookFor(key: PageKey, { exchange }: HttpContext): Lookup | Promise<Lookup> {
    const looked = exchange?.looked;
    return looked && idOf(looked.key) === idOf(key) ? looked.found : cache.look(key);
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
        const context = executeArgs.contextValue as HttpContext;
        const reader = readerOf(page.root, executeArgs);
        const execute = async (): Promise<Result> =>
          (await reader?.read(context)) ?? ((await executeFn(executeArgs)) as Result);
        const served =
          exchange?.served ??
          (await pages.serve(page, context, await lookFor(page.key, context), execute));
        head.status = served.status;
        if (exchange && !served.result.errors) {
          head.answered = { key: page.key, began: exchange.began };
        }
        if (!served.page) return located(served.result, page.root);
        head.encoding = encoding;
        if (request.method === 'GET') head.etag = etagOf(page.key, served.page.seq);
        if (exchange) {
          const { root: _, ...cached } = page;
          Object.assign(exchange, { cached, reader });
        }
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

/** What was refused before, or to another one, at its place in this document. */
function located({ errors, ...result }: Result, { node }: RootField): Result {
  if (!errors) return result;
  const here = errors.map((error) =>
    error.path ? error : locatedError(error.originalError, [node], [keyOf(node)]),
  );
  return { errors: here, ...result };
}

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
