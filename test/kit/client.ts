import { expect } from 'vitest';
import type { TestServer } from './server.ts';

export interface GraphqlResult<T = Record<string, never>> {
  readonly data?: T | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions: { readonly code: string; readonly [key: string]: unknown };
  }[];
}

export interface Answer<T> extends GraphqlResult<T> {
  readonly status: number;
  readonly headers: Headers;
}

export interface Client {
  readonly token: string | undefined;
  readonly userId: string;
  /** Sends one operation over HTTP and answers whatever comes back. */
  ask<T>(query: string, variables?: object, headers?: Record<string, string>): Promise<Answer<T>>;
  /** The same, for operations that have to succeed: answers their data. */
  data<T>(query: string, variables?: object): Promise<T>;
}

// biome-ignore lint/suspicious/noExplicitAny: test documents choose their fields freely
export type Any = any;

export function clientOf(server: Pick<TestServer, 'url'>, token?: string, userId = ''): Client {
  const client: Client = {
    token,
    userId,
    async ask<T>(query: string, variables = {}, headers = {}): Promise<Answer<T>> {
      const response = await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          ...(token && { authorization: `Bearer ${token}` }),
          ...headers,
        },
        body: JSON.stringify({ query, variables }),
      });
      const body = (await response.json()) as GraphqlResult<T>;
      return { ...body, status: response.status, headers: response.headers };
    },
    async data<T>(query: string, variables = {}): Promise<T> {
      const answer = await client.ask<T>(query, variables);
      expect(answer.errors).toBeUndefined();
      return answer.data as T;
    },
  };
  return client;
}

/** A new guest of a server. */
export async function signIn(server: Pick<TestServer, 'url'>): Promise<Client> {
  const { signInAsGuest } = await clientOf(server).data<Any>(
    'mutation { signInAsGuest { accessToken user { id } } }',
  );
  return clientOf(server, signInAsGuest.accessToken, signInAsGuest.user.id);
}

/** The code of an answer's first error, and of which argument. */
export function failureOf(answer: GraphqlResult<unknown>): string | undefined {
  const [error] = answer.errors ?? [];
  const argument = error?.extensions['argument'];
  return error && [error.extensions.code, argument].filter(Boolean).join(' ');
}

export const SEND = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { message { id message response status failure mood moodScore
    personalityContext hasPersonalityContext createdAt updatedAt } }
}`;

export const HISTORY = `query History($first: Int, $after: String, $offset: Int, $last: Int, $before: String, $around: ID, $filter: ChatFilter) {
  chatHistory(first: $first, after: $after, offset: $offset, last: $last, before: $before, around: $around, filter: $filter) {
    nodes { id message response status }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;

export const SEARCH = `query Search($query: String!, $filter: ChatFilter, $first: Int, $after: String, $orderBy: SearchOrder) {
  searchChats(query: $query, filter: $filter, first: $first, after: $after, orderBy: $orderBy) {
    edges { cursor approximate node { id message response } highlights { field start end } }
    pageInfo { hasNextPage startCursor endCursor }
  }
}`;

/** Sends a message and answers the stored exchange. */
export async function send(client: Client, message: string, input: object = {}): Promise<Any> {
  const data = await client.data<Any>(SEND, { input: { message, ...input } });
  return data.sendMessage.message;
}
