import { authExchange } from '@urql/exchange-auth';
import { Client, fetchExchange, subscriptionExchange } from 'urql';
import { createLiveClient, type LiveClient } from '../../live/client.ts';
import type { Session } from '../session/session.ts';
import { runsOut } from '../session/token.ts';
import { createCache } from './cache.ts';

/** Whether other devices' changes come in. `away` from the moment a connection is lost. */
export type Connection = 'connecting' | 'connected' | 'away';

export interface Graphql {
  readonly client: Client;
  /** How it stands with the connection, and how to hear of a change: for useSyncExternalStore. */
  readonly connection: {
    get(): Connection;
    subscribe(listener: () => void): () => void;
  };
  /** Calls back when the server's history began anew: all pages have to be read again. */
  onReset(listener: () => void): () => void;
  close(): void;
}

export const ENDPOINT = '/graphql';

/** Everything that asks the server anything for one session. */
export function createGraphql(session: Session): Graphql {
  const listeners = new Set<() => void>();
  const resets = new Set<() => void>();
  let connection: Connection = 'connecting';

  let socketToken = '';
  const live: LiveClient = createLiveClient({
    url: new URL(ENDPOINT, window.location.href).href.replace(/^http/, 'ws'),
    async connectionParams() {
      socketToken = await session.token();
      return { authorization: `Bearer ${socketToken}` };
    },
    onRefused: () => void session.renew(socketToken),
    onState(state) {
      connection = state;
      for (const listener of [...listeners]) listener();
    },
    onReset() {
      for (const listener of [...resets]) listener();
    },
  });

  const client = new Client({
    url: ENDPOINT,
    preferGetMethod: false,
    exchanges: [
      createCache(),
      authExchange(async ({ appendHeaders }) => {
        let token = await session.token();
        return {
          addAuthToOperation: (operation) =>
            appendHeaders(operation, { authorization: `Bearer ${token}` }),
          willAuthError: () => runsOut(token),
          // A refused token goes to the session, over HTTP (401) as over WebSocket (4403, onRefused).
          didAuthError: ({ graphQLErrors }) =>
            graphQLErrors.some(({ extensions }) => extensions['code'] === 'UNAUTHENTICATED'),
          async refreshAuth() {
            const newest = await session.token();
            if (newest !== token || (await session.renew(token))) token = await session.token();
          },
        };
      }),
      fetchExchange,
      subscriptionExchange({ forwardSubscription: live.forwardSubscription }),
    ],
  });

  return {
    client,
    connection: {
      get: () => connection,
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    onReset(listener) {
      resets.add(listener);
      return () => resets.delete(listener);
    },
    close: () => void live.close(),
  };
}
