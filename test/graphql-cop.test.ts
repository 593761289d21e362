import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Any } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';

/** As in production: without GraphiQL. */
let server: TestServer;

beforeAll(async () => {
  server = await startServer({ env: { GRAPHIQL: 'false' } });
});
afterAll(() => server.stop());

const many = (times: number, text: (i: number) => string) =>
  Array.from({ length: times }, (_, i) => text(i)).join(' ');

/** https://github.com/dolevf/graphql-cop, each with what it takes for a finding. */
describe('graphql-cop finds', () => {
  const post = async (body: unknown, headers: Record<string, string> = {}): Promise<Any> =>
    (
      await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })
    ).json();
  const cop = (query: string) => post({ query, operationName: 'cop' });
  const get = async (query: string): Promise<Any> =>
    (await fetch(`${server.url}/graphql?query=${encodeURIComponent(query)}`)).json();
  const circular = 'query cop { ...A } fragment A on Query { ...B } fragment B on Query { ...A }';

  it.each<[string, () => Promise<unknown>]>([
    [
      'alias_overloading',
      async () =>
        (await cop(`query cop { ${many(101, (i) => `alias${i}: __typename`)} }`)).data?.alias100,
    ],
    [
      'batch_query',
      async () => (await post(Array(10).fill({ query: 'query cop { __typename }' }))).length >= 10,
    ],
    ['circular_fragment', async () => (await cop(circular)).data],
    [
      'circular_query_introspection',
      async () =>
        (
          await cop(
            'query cop { __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }',
          )
        ).data,
    ],
    [
      'directive_overloading',
      async () =>
        (await cop('query cop { __typename @aa@aa@aa@aa@aa@aa@aa@aa@aa@aa }')).errors.length !== 1,
    ],
    [
      'field_duplication',
      async () => (await cop(`query cop { ${many(500, () => '__typename')} }`)).data,
    ],
    [
      'field_suggestions',
      async () =>
        /Did you mean/.test(JSON.stringify(await cop('query cop { __schema { directive } }'))),
    ],
    ['get_based_mutation', async () => (await get('mutation cop { __typename }')).data],
    [
      'detect_graphiql',
      async () => {
        const page = await fetch(`${server.url}/graphql`, { headers: { accept: 'text/html' } });
        return /graphiql|playground/i.test(await page.text());
      },
    ],
    [
      'introspection',
      async () => (await cop('query cop { __schema { types { name fields { name } } } }')).data,
    ],
    [
      'post_based_csrf',
      async () =>
        (
          await post('query=query%20cop%20%7B__typename%7D', {
            'content-type': 'application/x-www-form-urlencoded',
          })
        ).data,
    ],
    [
      'trace_mode',
      async () => /tracing/i.test(JSON.stringify(await cop('query cop { __typename }'))),
    ],
    [
      'unhandled_error_detection',
      async () => /exception|stack/i.test(JSON.stringify(await cop('qwerty cop { abc }'))),
    ],
  ])('nothing by %s', async (_, found) => {
    expect((await found()) ?? false).toBe(false);
  });

  // As GraphQL over HTTP offers, and we promise: without a cookie there is nothing to forge.
  it('by get_method_support that queries may come by GET, and nothing else', async () => {
    expect(await get('query cop { __typename }')).toEqual({ data: { __typename: 'Query' } });
  });
});
