import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
} from 'graphql';

/** A field of one of the three roots. */
export interface Operation {
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly field: GraphQLField<unknown, unknown>;
}

export const operationsOf = (schema: GraphQLSchema): Operation[] =>
  (
    [
      ['query', schema.getQueryType()],
      ['subscription', schema.getSubscriptionType()],
      ['mutation', schema.getMutationType()],
    ] as const
  ).flatMap(([kind, root]) =>
    Object.values(root?.getFields() ?? {}).map((field) => ({ kind, field })),
  );

type Input = GraphQLArgument | GraphQLInputField;

/** An argument, or a field within one, that takes a value and not other fields. */
export interface Leaf {
  /** `chatHistory.after` for an argument, `SendMessageInput.id` for a field of an input. */
  readonly coordinate: string;
  /** The names that lead to it, the argument's first. */
  readonly path: readonly [string, ...string[]];
  readonly type: GraphQLInputType;
}

export function leavesOf({ field }: Operation): Leaf[] {
  const within = (input: Input, coordinate: string, path: Leaf['path']): Leaf[] => {
    const type = getNamedType(input.type);
    return isInputObjectType(type)
      ? Object.values(type.getFields()).flatMap((inner) =>
          within(inner, `${type.name}.${inner.name}`, [...path, inner.name]),
        )
      : [{ coordinate, path, type: input.type }];
  };
  return field.args.flatMap((arg) => within(arg, `${field.name}.${arg.name}`, [arg.name]));
}

export interface Request {
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

export interface RequestOptions {
  /** Arguments beside those that are required. */
  readonly also: readonly string[];
  /** Whether inputs have all of their fields, or only those that are required. */
  readonly full: boolean;
  /** What a leaf is given; undefined for nothing. */
  valueOf(coordinate: string, type: GraphQLInputType): unknown;
}

/** An operation that selects all that there is to select. */
export function requestOf({ kind, field }: Operation, options: RequestOptions): Request {
  const value = (input: Input, coordinate: string): unknown => {
    const leaf = getNamedType(input.type);
    if (!isInputObjectType(leaf)) return options.valueOf(coordinate, input.type);
    return Object.fromEntries(
      Object.values(leaf.getFields()).flatMap((inner) => {
        const name = `${leaf.name}.${inner.name}`;
        const given = value(inner, name);
        const isLeftOut = given === undefined || !(options.full || isRequiredInputField(inner));
        return isLeftOut ? [] : [[inner.name, given]];
      }),
    );
  };
  const args = field.args.filter(
    (arg) => isRequiredArgument(arg) || options.also.includes(arg.name),
  );
  const heads = args.map((arg) => `$${arg.name}: ${arg.type}`).join(', ');
  const passed = args.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  return {
    query: `${kind} X${heads && `(${heads})`} { ${field.name}${passed && `(${passed})`}${selectionOf(field.type)} }`,
    variables: Object.fromEntries(
      args.map((arg) => [arg.name, value(arg, `${field.name}.${arg.name}`)]),
    ),
  };

  /** All that can be selected below a type. */
  function selectionOf(type: GraphQLOutputType): string {
    const named = getNamedType(type);
    if (isAbstractType(named)) {
      if (!('getTypes' in named)) return ' { __typename }';
      const each = named.getTypes().map((member) => `... on ${member.name}${selectionOf(member)}`);
      return ` { __typename ${each.join(' ')} }`;
    }
    if (!isObjectType(named)) return '';
    const inner = Object.values(named.getFields()).map((one) => one.name + selectionOf(one.type));
    return ` { ${inner.join(' ')} }`;
  }
}

/** The same request with another value at a leaf, in whose place a list stands where one is asked for. */
export function withValue(request: Request, { path, type }: Leaf, value: unknown): Request {
  const variables = structuredClone(request.variables);
  const names = [...path];
  const last = names.pop() as string;
  let place: Record<string, unknown> = variables;
  for (const name of names) {
    place[name] ??= {};
    place = place[name] as Record<string, unknown>;
  }
  place[last] = isList(type) ? [value] : value;
  return { ...request, variables };
}

const isList = (type: GraphQLInputType): boolean =>
  isListType(isNonNullType(type) ? type.ofType : type);

/** The values of an enum, in a list where one is asked for. */
export function enumValue(type: GraphQLInputType): unknown {
  const named = getNamedType(type);
  if (!isEnumType(named)) return undefined;
  const names = named.getValues().map(({ name }) => name);
  return isList(type) ? names : names[0];
}
