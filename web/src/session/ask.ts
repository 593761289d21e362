/** The server does not take the token. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

interface Answer<T> {
  readonly data?: T | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
}

/**
 * One operation before there is a session, and so before there is a client.
 *
 * @throws RefusedError; anything else means that the server is away
 */
export async function ask<T>(endpoint: string, query: string, token?: string): Promise<T> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query }),
  });
  const { data, errors = [] } = (await response.json()) as Answer<T>;
  if (errors.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')) {
    throw new RefusedError('The server does not take this token.');
  }
  if (!data || errors.length > 0) throw new Error('The server did not answer.');
  return data;
}
