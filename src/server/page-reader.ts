import {
  type DocumentNode,
  type ExecutionArgs,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNullableType,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type NamedTypeNode,
  type SelectionSetNode,
  typeFromAST,
} from 'graphql';
import type { Context } from '../resolvers/context.ts';
import type { RootField } from './page-keys.ts';
import { type Result, refusal } from './pages.ts';

/** Reads one page of a document, for whoever asks. */
export interface PageReader {
  /** As the engine would answer; undefined when only the engine can. */
  read(context: Context): Promise<Result | undefined>;
  /** How many fields it has, of which each takes memory. */
  readonly fields: number;
}

/** The answer's part for a value; throws for what has an error of its own to be told. */
type Complete = (value: unknown, context: Context) => unknown;

/** Something that only the engine knows how to answer. */
class Unusual extends Error {}

interface Plan {
  readonly complete: Complete;
  readonly fields: number;
  /** Until a page was met for which the engine had to be asked: no page is read twice again and again. */
  fits: boolean;
}

/**
 * The engine walks through the document again for each value of each exchange: 300 fields a page, each with its
 * path, its arguments and its own way to fail. Here a document is walked through once, and what is left is one
 * function a field. Only for what cached pages are made of: plain fields without arguments or directives, whose
 * resolvers take nothing but the object and the context, and answer at once. Everything else, and every page in
 * which anything fails below its root, is left to the engine.
 */
export function createPageReaders(schema: GraphQLSchema) {
  const plans = new WeakMap<FieldNode, Plan | null>();

  function planOf({ definition, node }: RootField, { document }: ExecutionArgs): Plan | null {
    let plan = plans.get(node);
    if (plan === undefined) {
      plan = compile(schema, definition.type, node, document);
      plans.set(node, plan);
    }
    return plan;
  }

  return (root: RootField, args: ExecutionArgs): PageReader | undefined => {
    const plan = planOf(root, args);
    const { resolve } = root.definition;
    return plan && resolve ? readerOf(plan, resolve, root.values, keyOf(root.node)) : undefined;
  };
}

/** Not the document itself: what was learned of a request is kept for longer. */
const readerOf = (
  plan: Plan,
  resolve: NonNullable<RootField['definition']['resolve']>,
  values: RootField['values'],
  key: string,
): PageReader => ({
  fields: plan.fields,
  async read(context) {
    if (!plan.fits) return undefined;
    let page: unknown;
    try {
      page = await resolve(undefined, values, context, UNKNOWN);
    } catch (error) {
      return refusal(error);
    }
    try {
      return { data: { [key]: plan.complete(page, context) } };
    } catch {
      plan.fits = false;
      return undefined;
    }
  },
});

/** Under which name a field stands in the answer. */
export const keyOf = ({ alias, name }: FieldNode): string => alias?.value ?? name.value;

/** No resolver of ours looks at where it is. One that did would throw, and the engine be asked. */
const UNKNOWN = undefined as never;

function compile(
  schema: GraphQLSchema,
  type: GraphQLOutputType,
  root: FieldNode,
  document: DocumentNode,
): Plan | null {
  let fields = 0;
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION)
      fragments.set(definition.name.value, definition);
  }
  try {
    // What fails at the root fails the whole: there is no place for a null.
    if (!isNonNullType(type) || root.directives?.length) return null;
    const complete = completeType(type, [root]);
    return { complete, fields, fits: true };
  } catch (error) {
    if (error instanceof Unusual) return null;
    throw error;
  } finally {
    // What is compiled would else hold on to the document.
    fragments.clear();
  }

  function completeType(type: GraphQLOutputType, nodes: readonly FieldNode[]): Complete {
    const complete = completeValue(getNullableType(type), nodes);
    const isNullable = !isNonNullType(type);
    return (value, context) => {
      if (value !== null && value !== undefined) return complete(value, context);
      if (isNullable) return null;
      throw new Unusual();
    };
  }

  function completeValue(type: GraphQLOutputType, nodes: readonly FieldNode[]): Complete {
    if (isLeafType(type)) {
      return (value) => {
        const written = type.serialize(value);
        if (written === null || written === undefined) throw new Unusual();
        return written;
      };
    }
    if (isListType(type)) {
      const complete = completeType(type.ofType, nodes);
      return (value, context) => {
        if (!Array.isArray(value)) throw new Unusual();
        return value.map((item) => complete(item, context));
      };
    }
    if (!isObjectType(type) || type.isTypeOf) throw new Unusual();
    return completeObject(type, nodes);
  }

  function completeObject(type: GraphQLObjectType, nodes: readonly FieldNode[]): Complete {
    const selected = new Map<string, FieldNode[]>();
    for (const { selectionSet } of nodes) collect(type, selectionSet, selected);
    const reads = [...selected].map(([key, same]) => ({ key, read: readField(type, same) }));
    fields += reads.length;
    return (object, context) => {
      const written: Record<string, unknown> = {};
      for (const { key, read } of reads) written[key] = read(object, context);
      return written;
    };
  }

  function readField(type: GraphQLObjectType, nodes: readonly FieldNode[]): Complete {
    const name = (nodes[0] as FieldNode).name.value;
    if (name === '__typename') return () => type.name;
    const field = type.getFields()[name];
    if (!field || field.args.length > 0) throw new Unusual();
    const complete = completeType(field.type, nodes);
    const { resolve } = field;
    const read: Complete = resolve
      ? (object, context) => resolve(object, {}, context, UNKNOWN)
      : (object) => (object as Record<string, unknown>)[name];
    return (object, context) => {
      const value = read(object, context);
      if (typeof value === 'function' || value instanceof Promise) throw new Unusual();
      return complete(value, context);
    };
  }

  /** GraphQL, 6.3.2: fields of the same name in the answer are one. */
  function collect(
    type: GraphQLObjectType,
    set: SelectionSetNode | undefined,
    selected: Map<string, FieldNode[]>,
  ): void {
    for (const selection of set?.selections ?? []) {
      if (selection.directives?.length) throw new Unusual();
      if (selection.kind === Kind.FIELD) {
        const key = keyOf(selection);
        // It would be no property of an object.
        if (key === '__proto__') throw new Unusual();
        selected.set(key, [...(selected.get(key) ?? []), selection]);
        continue;
      }
      const fragment =
        selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection;
      if (isFor(type, fragment?.typeCondition)) collect(type, fragment?.selectionSet, selected);
    }
  }

  function isFor(type: GraphQLObjectType, named: NamedTypeNode | undefined): boolean {
    if (!named) return true;
    const condition = typeFromAST(schema, named);
    return condition === type || (isAbstractType(condition) && schema.isSubType(condition, type));
  }
}
