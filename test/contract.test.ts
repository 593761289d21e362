import { readFile } from 'node:fs/promises';
import {
  buildClientSchema,
  buildSchema,
  findBreakingChanges,
  findDangerousChanges,
  type GraphQLNamedType,
  type GraphQLSchema,
  getIntrospectionQuery,
  type IntrospectionQuery,
  isInputObjectType,
  isIntrospectionType,
  isObjectType,
  printType,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientOf, signIn } from './kit/client.ts';
import { startServer, startServerForTest, type TestServer } from './kit/server.ts';

let server: TestServer;
let served: GraphQLSchema;

async function introspect(from: TestServer): Promise<GraphQLSchema> {
  const query = getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true });
  return buildClientSchema(await clientOf(from).data<IntrospectionQuery>(query));
}

beforeAll(async () => {
  server = await startServer();
  served = await introspect(server);
});
afterAll(() => server.stop());

describe('the schema', () => {
  it('holds everything of the contract', async () => {
    const contract = buildSchema(
      await readFile(new URL('contract.graphql', import.meta.url), 'utf8'),
    );
    const broken = findBreakingChanges(contract, served).map(({ description }) => description);
    expect(broken).toEqual([]);
    const defaults = findDangerousChanges(contract, served)
      .filter(({ type }) => type === 'ARG_DEFAULT_VALUE_CHANGE')
      .map(({ description }) => description);
    expect(defaults).toEqual([]);
    expect(printType(served.getType('SendMessageInput') as GraphQLNamedType)).toContain(
      'awaitReply: Boolean = true',
    );
  });

  it('describes every type, field and argument', () => {
    const silent: string[] = [];
    for (const type of Object.values(served.getTypeMap())) {
      if (isIntrospectionType(type)) continue;
      if (!type.description) silent.push(type.name);
      if (!isObjectType(type) && !isInputObjectType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        if (!field.description) silent.push(`${type.name}.${field.name}`);
        for (const arg of 'args' in field ? field.args : []) {
          if (!arg.description) silent.push(`${type.name}.${field.name}(${arg.name})`);
        }
      }
    }
    expect(silent).toEqual([]);
  });

  it('is for the signed in only where GraphiQL is off, and hints at nothing', async () => {
    const closed = await startServerForTest({ env: { NODE_ENV: 'production' } });
    const anonymous = clientOf(closed);
    const asked = await anonymous.ask('{ __schema { types { name } } }');
    expect(asked.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect((await anonymous.ask('{ __type(name: "Query") { name } }')).data).toBeFalsy();
    const misspelt = await anonymous.ask('{ chatHistori { nodes { id } } }');
    expect(misspelt.errors?.[0]?.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(JSON.stringify(misspelt)).not.toMatch(/chatHistory|Did you mean/);
    const me = await signIn(closed);
    expect((await me.ask('{ __schema { types { name } } }')).errors).toBeUndefined();
    const page = await fetch(`${closed.url}/graphql`, { headers: { accept: 'text/html' } });
    expect(page.headers.get('content-type') ?? '').not.toMatch(/html/);
  });
});
