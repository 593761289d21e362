import {
  type DocumentNode,
  type ExecutableDefinitionNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';

/** What a document may hold; introspection as GraphiQL asks for it fits in. */
export const LIMITS = {
  tokens: 1_000,
  depth: 16,
  aliases: 15,
  /** Of the operation, its variables and its fields. graphql-cop comes with ten. */
  directives: 8,
  /** Fields of an operation, each use of a fragment counted. */
  fields: 500,
  /** Selections side by side, which validation compares in pairs. */
  siblings: 100,
};

/** What is measured; tokens are the parser's own affair. */
const MEASURED = ['depth', 'fields', 'aliases', 'directives', 'siblings'] as const;
type Size = Record<(typeof MEASURED)[number], number>;

/**
 * Refuses documents that cost more than any client needs, before they are validated: as a plugin of
 * the engine, so that it holds over HTTP and WebSocket alike. Not graphql-armor: its rules count a
 * fragment as a level of depth (#431), let a fragment's name switch them off (#823), and have no limit
 * for selections side by side.
 */
export function useLimits(): Plugin {
  const verdicts = new WeakMap<DocumentNode, GraphQLError | null>();
  return {
    onParse({ parseFn, setParseFn }) {
      setParseFn((source, options) => parseFn(source, { ...options, maxTokens: LIMITS.tokens }));
    },
    onValidate({ params: { documentAST }, setResult }) {
      let verdict = verdicts.get(documentAST);
      if (verdict === undefined) {
        verdict = judge(documentAST);
        verdicts.set(documentAST, verdict);
      }
      if (verdict) setResult([verdict]);
    },
  };
}

function judge(document: DocumentNode): GraphQLError | null {
  const size = sizeOf(document);
  const over = MEASURED.find((what) => size[what] > LIMITS[what]);
  if (!over) return null;
  const message = `The document is too complex: its limit of ${over} is ${LIMITS[over]}.`;
  return new GraphQLError(message, { extensions: { code: 'QUERY_TOO_COMPLEX' } });
}

/**
 * The most of each that an operation or a fragment of the document has, be it used or not: validation
 * looks at all of them. Each fragment is measured once, so that fragments in fragments cannot make this
 * slow.
 */
export function sizeOf(document: DocumentNode): Size {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION)
      fragments.set(definition.name.value, definition);
  }
  const nothing: Size = { depth: 0, fields: 0, aliases: 0, directives: 0, siblings: 0 };
  const measured = new Map<string, Size>();

  function ofFragment(name: string): Size {
    const known = measured.get(name);
    if (known) return known;
    // A fragment within itself counts nothing here; validation says what is wrong with it.
    measured.set(name, nothing);
    const fragment = fragments.get(name);
    const size = fragment ? ofDefinition(fragment) : nothing;
    measured.set(name, size);
    return size;
  }

  function ofDefinition(definition: ExecutableDefinitionNode): Size {
    const size = ofSet(definition.selectionSet);
    for (const { directives } of [definition, ...(definition.variableDefinitions ?? [])])
      size.directives += directives?.length ?? 0;
    return size;
  }

  function ofSet(set: SelectionSetNode | undefined): Size {
    const total: Size = { ...nothing, siblings: set?.selections.length ?? 0 };
    for (const selection of set?.selections ?? []) {
      const isField = selection.kind === Kind.FIELD;
      const inner =
        selection.kind === Kind.FRAGMENT_SPREAD
          ? ofFragment(selection.name.value)
          : ofSet(selection.selectionSet);
      total.depth = Math.max(total.depth, inner.depth + (isField ? 1 : 0));
      total.fields += inner.fields + (isField ? 1 : 0);
      total.aliases += inner.aliases + (isField && selection.alias ? 1 : 0);
      total.directives += inner.directives + (selection.directives?.length ?? 0);
      total.siblings = Math.max(total.siblings, inner.siblings);
    }
    return total;
  }

  const most = { ...nothing };
  for (const definition of document.definitions) {
    if (!('selectionSet' in definition)) continue;
    const size = ofDefinition(definition);
    for (const what of MEASURED) most[what] = Math.max(most[what], size[what]);
  }
  return most;
}
