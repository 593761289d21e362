import { randomUUID } from 'node:crypto';
import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { ExpectedError } from '../errors.ts';
import type { Logger } from '../log.ts';

/**
 * Turns whatever was thrown into what a caller may see: expected failures with the contract's code,
 * GraphQL's own complaints with theirs, and anything else masked, with the id under which it stands
 * in the log. `hints` leaves in "Did you mean …?".
 */
export function createErrorMask(log: Logger, { hints }: { readonly hints: boolean }) {
  return (error: unknown): GraphQLError => {
    const cause = originOf(error);
    const location = error instanceof GraphQLError ? locationOf(error) : {};
    if (cause instanceof ExpectedError) {
      if (cause.code === 'SERVICE_UNAVAILABLE')
        log.warn({ err: trace(cause.cause) }, cause.message);
      const extensions = { code: cause.code, ...cause.details };
      return new GraphQLError(cause.message, { ...location, extensions });
    }
    if (cause instanceof GraphQLError) {
      // The document's faults have a code by now: what is left is about arguments and variables, or
      // has a code of a library's own. What else a library says in extensions is about our inside;
      // `http` is for the engine, which takes it out again.
      const { code: given, http } = cause.extensions;
      const code = CODES.has(String(given)) ? given : 'BAD_USER_INPUT';
      const extensions = { code, ...(http !== undefined && { http }) };
      return new GraphQLError(toldOf(cause, hints), { ...location, extensions });
    }
    const requestId = randomUUID();
    log.error({ requestId, err: trace(cause) }, 'unexpected error');
    return new GraphQLError('Unexpected error.', {
      ...location,
      extensions: { code: 'INTERNAL_SERVER_ERROR', requestId },
    });
  };
}

export type ErrorMask = ReturnType<typeof createErrorMask>;

const CODES = new Set([
  'UNAUTHENTICATED',
  'QUERY_TOO_COMPLEX',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
]);

/** Without hints nobody learns the schema by guessing: a misspelt name is not corrected. */
const toldOf = ({ message }: GraphQLError, hints: boolean): string =>
  hints ? message : message.replace(/ Did you mean .*\?$/s, '');

function originOf(error: unknown): unknown {
  let origin = error;
  while (origin instanceof GraphQLError && origin.originalError) origin = origin.originalError;
  return origin;
}

const locationOf = ({ nodes, source, positions, path }: GraphQLError) => ({
  nodes: nodes ?? null,
  source: source ?? null,
  positions: positions ?? null,
  path: path ?? null,
});

/**
 * What may be logged of an unexpected error. Not its message when it is PostgreSQL's: that, its
 * detail and its parameters can hold what a user wrote.
 */
function trace(error: unknown) {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name, code, routine } = error as Error & { code?: string; routine?: string };
  const isPostgres = 'severity' in error;
  return {
    type: name,
    code,
    routine,
    message: isPostgres ? undefined : error.message,
    stack: error.stack?.split('\n').filter((line) => line.startsWith('    at ')),
  };
}

/** Gives the document's own faults their codes; `hints` leaves in "Did you mean …?". */
export function useDocumentErrorCodes({ hints }: { hints: boolean }): Plugin {
  const coded = (error: GraphQLError, code: string) => {
    const { nodes, source, positions, extensions } = error;
    return new GraphQLError(toldOf(error, hints), {
      nodes: nodes ?? null,
      source: source ?? null,
      positions: positions ?? null,
      extensions: { code, ...extensions },
    });
  };
  return {
    onParse:
      () =>
      ({ result, replaceParseResult }) => {
        if (!(result instanceof GraphQLError)) return;
        const isLimit = /tokens\. Parsing aborted/.test(result.message);
        replaceParseResult(coded(result, isLimit ? 'QUERY_TOO_COMPLEX' : 'GRAPHQL_PARSE_FAILED'));
      },
    onValidate:
      () =>
      ({ result, setResult }) => {
        if (result.length === 0) return;
        setResult(result.map((error) => coded(error, 'GRAPHQL_VALIDATION_FAILED')));
      },
  };
}

const STATUS: Readonly<Record<string, number>> = {
  UNAUTHENTICATED: 401,
  NOT_FOUND: 404,
  CONFLICT: 409,
  RATE_LIMITED: 429,
  SERVICE_UNAVAILABLE: 503,
  INTERNAL_SERVER_ERROR: 500,
};

/**
 * HTTP status of an operation that came to nothing. Only for application/graphql-response+json
 * (`spec`); application/json stays at 200 (GraphQL over HTTP, 6.4).
 */
export function useStatusCodes(): Plugin {
  return {
    onExecutionResult({ result }) {
      if (!result || Array.isArray(result) || !('errors' in result) || result.data) return;
      for (const error of result.errors ?? []) {
        const status = STATUS[String(error.extensions['code'])] ?? 400;
        error.extensions['http'] ??= { spec: true, status };
      }
    },
  };
}
