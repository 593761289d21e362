import type { ExecutionArgs, ExecutionResult, GraphQLSchema } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Lookup, PageCache } from '../cache/cache.ts';
import type { MessageStore } from '../db/messages.ts';
import type { Context } from '../resolvers/context.ts';
import { asksForPage, type CacheablePage, createPageKeys } from './page-keys.ts';

/** An execution result whose body is there already; Yoga sends what `stringify` gives. */
type Result = ExecutionResult & { stringify?: () => string };

interface Served {
  readonly result: Result;
  readonly status: string;
}

interface Parts {
  readonly cache: PageCache;
  readonly messages: MessageStore;
  readonly schema: GraphQLSchema;
}

type HttpContext = Context & { readonly request?: Request; readonly params?: { query?: string } };

/**
 * Serves history and search pages as the finished bytes of their response, and never stale ones: see
 * cache/cache.ts. Over HTTP only; says in Cache-Status (RFC 9211) what it did.
 */
export function useResponseCache({ cache, messages, schema }: Parts): Plugin<HttpContext> {
  const pageOf = createPageKeys(schema);
  const statuses = new WeakMap<Request, string>();
  /** Misses that are being read just now, so that others can wait for them. */
  const reading = new Map<string, Promise<Filled | undefined>>();

  interface Filled {
    readonly seq: bigint;
    readonly body: Buffer;
  }

  type Execute = () => Promise<Result>;

  async function serve(page: CacheablePage, context: Context, execute: Execute): Promise<Served> {
    const found = await cache.look(page.key);
    if (found.kind === 'hit') return fromCache(found.body);
    if (found.kind === 'away') return { result: await execute(), status: 'fwd=bypass' };
    if (found.kind === 'unleased' && found.stored && context.viewer) {
      const seq = await messages.seq(context.viewer).catch(() => undefined);
      const body = seq !== undefined && (await cache.renew(page.key, seq, found.seenAt));
      if (body) return fromCache(body);
    }
    const id = Object.values(page.key).join('\n');
    const shared = found.kind === 'miss' ? await reading.get(id) : undefined;
    // Only if it shows what this request has to see: it may have been read before a change that was
    // acknowledged before this request came.
    if (shared && found.kind === 'miss' && shared.seq >= found.seq) {
      return { result: finished(shared.body), status: 'fwd=miss; collapsed' };
    }
    return readAndFill(id, page, context, found, execute);
  }

  async function readAndFill(
    id: string,
    page: CacheablePage,
    context: Context,
    found: Extract<Lookup, { seenAt: number }>,
    execute: Execute,
  ): Promise<Served> {
    let fulfil: (filled: Filled | undefined) => void = () => {};
    const filling = new Promise<Filled | undefined>((resolve) => {
      fulfil = resolve;
    });
    if (!reading.has(id)) reading.set(id, filling);
    let filled: Filled | undefined;
    try {
      const result = await execute();
      const fwd = found.kind === 'miss' && found.stale ? 'fwd=stale' : 'fwd=uri-miss';
      if (result.errors || !context.page?.settled) return { result, status: fwd };
      filled = { seq: context.page.seq, body: Buffer.from(JSON.stringify(result)) };
      const stored = await cache.fill(page.key, filled, found.seenAt, page.ttlSeconds);
      return { result: finished(filled.body), status: stored ? `${fwd}; stored` : fwd };
    } finally {
      if (reading.get(id) === filling) reading.delete(id);
      fulfil(filled);
    }
  }

  return {
    onExecute({ args, executeFn, setExecuteFn }) {
      const { request, params, viewer } = args.contextValue;
      if (!request || !asksForPage(args.document)) return;
      statuses.set(request, 'fwd=bypass');
      const page = viewer && pageOf(args as ExecutionArgs, params?.query ?? '', viewer.sub);
      if (!page) return;
      setExecuteFn(async (executeArgs: ExecutionArgs) => {
        const execute = async () => (await executeFn(executeArgs)) as Result;
        const served = await serve(page, executeArgs.contextValue as Context, execute);
        statuses.set(request, served.status);
        return served.result;
      });
    },
    onParse:
      () =>
      ({ context, result }) => {
        // Also when validation fails, and nothing is executed.
        const { request } = context;
        if (request && 'kind' in (result ?? {}) && asksForPage(result)) {
          statuses.set(request, 'fwd=bypass');
        }
      },
    onResponse({ request, response }) {
      const status = statuses.get(request);
      if (status) response.headers.set('cache-status', `chatkeep; ${status}`);
    },
  };
}

const fromCache = (body: Buffer): Served => ({ result: finished(body), status: 'hit' });

/** The body goes out as it is: a Response takes bytes as well as a string. */
function finished(body: Buffer): Result {
  return { data: {}, stringify: () => body as unknown as string };
}
