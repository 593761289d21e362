import type { Server } from 'node:http';
import { CloseCode } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { type WebSocket, WebSocketServer } from 'ws';
import { ExpectedError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { TokenVerifier, Viewer } from '../services/tokens.ts';
import { at } from '../timers.ts';
import { authenticate } from './authentication.ts';
import { type Graphql, MAX_BODY_BYTES, type SocketContext } from './graphql.ts';
import { pathOf } from './http.ts';

interface SocketState extends Record<PropertyKey, unknown> {
  viewer?: Viewer | undefined;
}

interface Parts {
  readonly graphql: Graphql;
  readonly tokens: TokenVerifier;
  readonly log: Logger;
}

const INIT_TIMEOUT_MS = 3_000;
const PING_MS = 12_000;
const CLOSE_TIMEOUT_MS = 1_000;
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;

/**
 * graphql-transport-ws on `/graphql`. Every operation goes through Yoga's envelope, so that context,
 * limits and masking are those of HTTP. A bad token, or one that runs out, closes with 4403.
 */
export function serveWebSocket(server: Server, { graphql, tokens, log }: Parts) {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_BODY_BYTES,
    perMessageDeflate: false,
  });
  server.on('upgrade', (request, socket, head) => {
    // Until ws takes it over nobody else listens, and a reset would end the process.
    socket.on('error', () => socket.destroy());
    if (pathOf(request) !== '/graphql') {
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit('connection', ws, request));
  });

  const disposable = useServer<Record<string, unknown>, SocketState>(
    {
      connectionInitWaitTimeout: INIT_TIMEOUT_MS,
      async onConnect({ connectionParams, extra }) {
        const key = Object.keys(connectionParams ?? {}).find(
          (name) => name.toLowerCase() === 'authorization',
        );
        try {
          extra.viewer = await authenticate(tokens, key && connectionParams?.[key]);
        } catch (error) {
          // Not the token's fault when Supabase's keys cannot be fetched.
          const away = error instanceof ExpectedError && error.code === 'SERVICE_UNAVAILABLE';
          if (away) extra.socket.close(TRY_AGAIN_LATER, 'Try again later');
          return false; // closes with 4403 Forbidden
        }
        if (extra.viewer) closeAtTheEnd(extra.socket, extra.viewer);
        return true;
      },
      async onSubscribe({ extra }, _id, params) {
        const initial: SocketContext = { socketViewer: extra.viewer };
        const enveloped = graphql.getEnveloped(initial as never);
        const document = tryParse(() => enveloped.parse(params.query));
        if (!('kind' in document)) return [document];
        const errors = enveloped.validate(enveloped.schema, document);
        if (errors.length > 0) return errors;
        return {
          schema: enveloped.schema,
          document,
          operationName: params.operationName,
          variableValues: params.variables,
          contextValue: await enveloped.contextFactory(),
          execute: enveloped.execute,
          subscribe: enveloped.subscribe,
        } as never;
      },
      execute: (args) => (args as unknown as { execute: (args: unknown) => never }).execute(args),
      subscribe: (args) =>
        (args as unknown as { subscribe: (args: unknown) => never }).subscribe(args),
    },
    sockets,
    PING_MS,
  );
  sockets.on('connection', (socket: WebSocket) => {
    socket.on('error', (error) => log.debug({ code: (error as { code?: string }).code }, 'socket'));
  });

  return {
    get open(): number {
      return sockets.clients.size;
    },
    /** Tells every client to come back (to another process) and waits for them to be gone. */
    async close(): Promise<void> {
      for (const socket of sockets.clients) socket.close(GOING_AWAY, 'Going away');
      // A client that does not answer keeps nobody waiting.
      const impatience = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, CLOSE_TIMEOUT_MS);
      await disposable.dispose();
      clearTimeout(impatience);
    },
  };
}

function closeAtTheEnd(socket: WebSocket, viewer: Viewer): void {
  // It may have closed while its token was being checked: then nobody would call the timer off.
  if (socket.readyState !== socket.OPEN) return;
  const callOff = at(viewer.expiresAt, () => socket.close(CloseCode.Forbidden, 'Forbidden'));
  socket.once('close', callOff);
}

function tryParse<T>(parse: () => T): T | Error {
  try {
    return parse();
  } catch (error) {
    return error as Error;
  }
}
