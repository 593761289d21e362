import { formatDocument } from '@urql/core';
import {
  type DocumentNode,
  getIntrospectionQuery,
  Kind,
  Lexer,
  parse,
  print,
  Source,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS, sizeOf } from '../src/server/limits.ts';
import * as generated from '../web/src/graphql/generated/graphql.ts';
import { type Client, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';

let server: TestServer;
let me: Client;

beforeAll(async () => {
  server = await startServer();
  me = await signIn(server);
});
afterAll(() => server.stop());

describe('our own clients', () => {
  const tokensOf = (text: string): number => {
    const lexer = new Lexer(new Source(text));
    let count = 0;
    while (lexer.advance().kind !== '<EOF>') count += 1;
    return count;
  };
  const of = (text: string) => ({ tokens: tokensOf(text), ...sizeOf(parse(text)) });
  const half = Object.fromEntries(Object.entries(LIMITS).map(([what, limit]) => [what, limit / 2]));
  const within = (sizes: Record<string, number>, limits: Record<string, number>) =>
    Object.entries(sizes).filter(([what, size]) => size > (limits[what] as number));
  const passes = async (request: object) => {
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${me.token}`,
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(20_000),
    });
    const [text] =
      Buffer.from((await response.body?.getReader().read())?.value ?? [])
        .toString()
        .match(/.*/s) ?? [];
    expect(text).not.toMatch(/QUERY_TOO_COMPLEX|GRAPHQL_/);
  };

  const documents = Object.entries(generated as unknown as Record<string, DocumentNode>).filter(
    ([, { definitions }]) => definitions?.some(({ kind }) => kind === Kind.OPERATION_DEFINITION),
  );
  it('are the documents that the web client was generated with', () => {
    expect(documents.length).toBeGreaterThan(10);
  });

  // As urql's cache sends them: with __typename everywhere.
  it.each(documents)('take half of every limit at the most: %s', async (_, document) => {
    const query = print(formatDocument(document) as unknown as DocumentNode);
    expect(within(of(query), half)).toEqual([]);
    await passes({ query });
  });

  it('are GraphiQL, whose first text takes half of every limit', async () => {
    const script = await (await fetch(`${server.url}/graphiql/page.js`)).text();
    const query = /const WELCOME = `([^`]+)`/.exec(script)?.[1] as string;
    expect(within(of(query), half)).toEqual([]);
    for (const [, operationName] of query.matchAll(/^(?:query|mutation|subscription) (\w+)/gm))
      await passes({ query, operationName });
  });

  it('are GraphiQL and others, which ask for the whole schema', async () => {
    for (const options of [
      { inputValueDeprecation: true, schemaDescription: true },
      {
        descriptions: true,
        specifiedByUrl: true,
        directiveIsRepeatable: true,
        schemaDescription: true,
        inputValueDeprecation: true,
        oneOf: true,
      },
    ]) {
      const query = getIntrospectionQuery(options);
      const { depth, ...others } = of(query);
      // 15 levels: one is left. Of all else there is room for twice as much.
      expect(depth).toBeLessThan(LIMITS.depth);
      expect(within(others, half)).toEqual([]);
      await passes({ query });
    }
  });
});
