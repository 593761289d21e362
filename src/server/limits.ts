import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';

/** What a document may hold; introspection as GraphiQL asks for it fits in. */
const LIMITS = {
  tokens: 1_000,
  depth: 16,
  aliases: 15,
  directives: 15,
  /** Fields of an operation, each use of a fragment counted. */
  fields: 500,
  /** Selections side by side, which validation compares in pairs. */
  siblings: 100,
};

interface Size {
  depth: number;
  fields: number;
  aliases: number;
  directives: number;
}

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
  try {
    const measure = createMeasure(document);
    for (const definition of document.definitions) {
      if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
      const size = measure(definition.selectionSet);
      refuseOver(size, 'depth');
      refuseOver(size, 'fields');
      refuseOver(size, 'aliases');
      refuseOver(size, 'directives');
    }
    return null;
  } catch (error) {
    if (error instanceof GraphQLError) return error;
    throw error;
  }
}

function refuseOver(size: Size, what: keyof Size): void {
  if (size[what] > LIMITS[what]) throw tooComplex(what);
}

const tooComplex = (what: keyof typeof LIMITS) =>
  new GraphQLError(`The document is too complex: its limit of ${what} is ${LIMITS[what]}.`, {
    extensions: { code: 'QUERY_TOO_COMPLEX' },
  });

/** Measures each fragment once, so that fragments in fragments cannot make this slow. */
function createMeasure(document: DocumentNode) {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION)
      fragments.set(definition.name.value, definition);
  }
  const nothing: Size = { depth: 0, fields: 0, aliases: 0, directives: 0 };
  const measured = new Map<string, Size>();

  function ofFragment(name: string): Size {
    const known = measured.get(name);
    if (known) return known;
    // A fragment within itself counts nothing here; validation says what is wrong with it.
    measured.set(name, nothing);
    const fragment = fragments.get(name);
    const size = fragment ? ofSet(fragment.selectionSet) : nothing;
    measured.set(name, size);
    return size;
  }

  function ofSet(set: SelectionSetNode | undefined): Size {
    if (!set) return nothing;
    if (set.selections.length > LIMITS.siblings) throw tooComplex('siblings');
    const total: Size = { ...nothing };
    for (const selection of set.selections) {
      const isField = selection.kind === Kind.FIELD;
      const inner =
        selection.kind === Kind.FRAGMENT_SPREAD
          ? ofFragment(selection.name.value)
          : ofSet(selection.selectionSet);
      total.depth = Math.max(total.depth, inner.depth + (isField ? 1 : 0));
      total.fields += inner.fields + (isField ? 1 : 0);
      total.aliases += inner.aliases + (isField && selection.alias ? 1 : 0);
      total.directives += inner.directives + (selection.directives?.length ?? 0);
    }
    return total;
  }

  return ofSet;
}
