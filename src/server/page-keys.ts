import { createHash } from 'node:crypto';
import {
  BREAK,
  type DocumentNode,
  type ExecutionArgs,
  type FieldNode,
  type GraphQLField,
  type GraphQLSchema,
  getArgumentValues,
  getOperationAST,
  getVariableValues,
  Kind,
  lexicographicSortSchema,
  OperationTypeNode,
  printSchema,
  visit,
} from 'graphql';
import type { PageKey } from '../cache/cache.ts';
import type { Context } from '../resolvers/context.ts';
import type { Encoding } from './negotiation.ts';

const HISTORY_SECONDS = 24 * 60 * 60;
const SEARCH_SECONDS = 60 * 60;

const PAGES = new Set(['chatHistory', 'searchChats']);

/** The one field that an operation asks for, and the arguments that it has. */
export interface RootField {
  readonly definition: GraphQLField<unknown, Context>;
  readonly node: FieldNode;
  readonly values: Readonly<Record<string, unknown>>;
}

export interface CacheablePage {
  readonly key: PageKey;
  readonly ttlSeconds: number;
  /** In which it goes out; part of the key. */
  readonly encoding: Encoding | undefined;
}

const asking = new WeakMap<DocumentNode, boolean>();

/** Whether a document asks for a history or search page; only Query has fields of these names. */
export function asksForPage(document: DocumentNode): boolean {
  let asks = asking.get(document);
  if (asks === undefined) {
    asks = false;
    visit(document, {
      Field({ name }) {
        if (!PAGES.has(name.value)) return undefined;
        asks = true;
        return BREAK;
      },
    });
    asking.set(document, asks);
  }
  return asks;
}

/**
 * Under which key the finished response of an operation is kept, in the encoding in which it goes out. Undefined unless its one root field
 * is a page: the response is a function of the user's history, the document and the variables then.
 */
export function createPageKeys(schema: GraphQLSchema) {
  // Another schema may print the same page otherwise; processes of two versions can share a Redis.
  const version = hash(printSchema(lexicographicSortSchema(schema)));

  return (
    args: ExecutionArgs,
    text: string,
    userId: string,
    encoding: Encoding | undefined,
  ): (CacheablePage & { readonly root: RootField }) | undefined => {
    const operation = getOperationAST(args.document, args.operationName);
    if (operation?.operation !== OperationTypeNode.QUERY) return undefined;
    const [field, ...others] = operation.selectionSet.selections;
    if (field?.kind !== Kind.FIELD || others.length > 0) return undefined;
    const name = field.name.value;
    if (!PAGES.has(name)) return undefined;
    const definition = schema.getQueryType()?.getFields()[name];
    const variables = getVariableValues(
      schema,
      operation.variableDefinitions ?? [],
      (args.variableValues ?? {}) as Record<string, unknown>,
    );
    if (!definition || !variables.coerced) return undefined;
    const values = getArgumentValues(definition, field, variables.coerced);
    const what = hash(version, text, args.operationName ?? '', canonical(variables.coerced));
    const bytes = encoding ? `${what}:${encoding}` : what;
    const limit =
      values['first'] ?? definition.args.find((arg) => arg.name === 'first')?.defaultValue;
    const root = { definition, node: field, values };
    return name === 'chatHistory'
      ? {
          key: {
            userId,
            prefix: 'chat:history',
            suffix: `${limit}:${values['offset'] ?? 0}:${bytes}`,
          },
          ttlSeconds: HISTORY_SECONDS,
          encoding,
          root,
        }
      : {
          key: {
            userId,
            prefix: 'chat:search',
            suffix: `${hash(values['query'])}:${limit}:${bytes}`,
          },
          ttlSeconds: SEARCH_SECONDS,
          encoding,
          root,
        };
  };
}

/** JSON with sorted keys: the same variables in another order are the same page. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function hash(...parts: unknown[]): string {
  const digest = createHash('sha256');
  for (const part of parts) {
    const text = String(part);
    // With its length, so that no two lists of parts run together into one text.
    digest.update(`${text.length}:${text}`);
  }
  return digest.digest('base64url').slice(0, 22);
}
