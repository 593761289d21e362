import { type DocumentNode, GraphQLError, visit } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import type { PageCache } from '../cache/cache.ts';
import type { Context, Services } from '../resolvers/context.ts';
import { schema } from '../schema/index.ts';
import type { TokenVerifier, Viewer } from '../services/tokens.ts';
import { authenticate } from './authentication.ts';
import type { Tally } from './connections.ts';
import type { HotExchange, HotPath } from './hot-path.ts';
import { createDocumentCaches } from './documents.ts';
import { type ErrorMask, useDocumentErrorCodes, useStatusCodes } from './errors.ts';
import { useLimits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { useMultipartSubscriptions } from './multipart.ts';
import type { Pages } from './pages.ts';
import { useResponseCache } from './response-cache.ts';
import { type Subscribe, useSharedSubscriptions } from './subscriptions.ts';

/**
 * A request may be so large: 32,000 characters and a context of 16 KiB fit in as UTF-8, and with all that
 * is not ASCII escaped too, unless most of it are emoji.
 */
export const MAX_BODY_BYTES = 256 * 1024;

export interface GraphqlParts {
  readonly services: Services;
  readonly tokens: TokenVerifier;
  readonly cache: PageCache;
  readonly pages: Pages;
  readonly maskError: ErrorMask;
  readonly subscribe: Subscribe;
  /** The connections of each user. */
  readonly users: Tally;
  readonly metrics: Metrics;
  readonly hotPath: HotPath;
  /** Introspection, and hints in error messages, for everybody. */
  readonly open: boolean;
}

/** What a socket knows of its user since connection_init. */
export interface SocketContext {
  readonly socketViewer: Viewer | undefined;
}

/** What the front of the server knows of a request. */
export interface FrontContext {
  readonly exchange: HotExchange;
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The GraphQL engine: one envelope for HTTP, SSE and WebSocket. */
export function createGraphql(parts: GraphqlParts) {
  const { services, tokens, cache, pages, maskError, subscribe, users, metrics, hotPath, open } =
    parts;
  return createYoga<Partial<SocketContext & FrontContext>, Context>({
    schema,
    context: async (initial): Promise<Context> => ({
      services,
      viewer:
        'socketViewer' in initial
          ? initial.socketViewer
          : await authenticate(tokens, initial.request.headers.get('authorization')),
    }),
    maskedErrors: { maskError },
    // Tokens come in a header that no other site can make a browser send, so that every site may ask.
    cors: { origin: '*', credentials: false, maxAge: 86_400 },
    // The front has counted (server/http.ts); its own way costs more than all else of a cached page.
    maxRequestBodySize: false,
    parserAndValidationCache: createDocumentCaches(),
    multipart: false,
    batching: false,
    graphiql: false,
    landingPage: false,
    logging: silent,
    plugins: [
      useJsonErrors(),
      useLimits(),
      useDocumentErrorCodes({ hints: open }),
      !open && useIntrospectionForTheSignedIn(),
      useResponseCache({ cache, pages, schema, metrics }),
      useStatusCodes(),
      useSharedSubscriptions(subscribe, { users, maskError }),
      useMultipartSubscriptions(),
      useStreamHeaders(),
      metrics.plugin,
      hotPath.plugin,
    ].filter((plugin) => plugin !== false) as Plugin[],
  });
}

export type Graphql = ReturnType<typeof createGraphql>;

/**
 * Broken JSON is bad input: in a query string the engine takes it for a fault of its own, and in a body
 * it tells what its parser said.
 */
function useJsonErrors(): Plugin {
  return {
    onRequestParse({ requestParser, setRequestParser }) {
      if (!requestParser) return;
      setRequestParser(async (request) => {
        try {
          return await requestParser(request);
        } catch (error) {
          const cause = error instanceof GraphQLError ? error.extensions['originalError'] : error;
          if ((cause as Error | undefined)?.name !== 'SyntaxError') throw error;
          throw new GraphQLError('What was sent is no JSON.', {
            extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } },
          });
        }
      });
    },
  };
}

function useIntrospectionForTheSignedIn(): Plugin<Context> {
  return {
    onExecute({ args, setResultAndStopExecution }) {
      if (args.contextValue.viewer || !introspects(args.document)) return;
      const error = new GraphQLError('Sign in to see the schema.', {
        extensions: { code: 'UNAUTHENTICATED' },
      });
      setResultAndStopExecution({ errors: [error] });
    },
  };
}

function introspects(document: DocumentNode): boolean {
  let found = false;
  visit(document, {
    Field({ name }) {
      found ||= name.value === '__schema' || name.value === '__type';
    },
  });
  return found;
}

/** Proxies must not hold back or cut a stream. */
function useStreamHeaders(): Plugin {
  return {
    onResponse({ response }) {
      if (!/^(text\/event-stream|multipart)/.test(response.headers.get('content-type') ?? ''))
        return;
      response.headers.set('x-accel-buffering', 'no');
      response.headers.set('cache-control', 'no-cache, no-transform');
    },
  };
}
