import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecutionResult, GraphQLError, OperationTypeNode, getOperationAST } from 'graphql';
import { CloseCode, handleProtocols, makeServer } from 'graphql-ws';
import { type ServerOptions, WebSocketServer } from 'ws';
import { ExpectedError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { TokenVerifier, Viewer } from '../services/tokens.ts';
import { authenticate } from './authentication.ts';
import { type ConnectionLimits, createTally, type Tally } from './connections.ts';
import type { ErrorMask } from './errors.ts';
import { type Graphql, MAX_BODY_BYTES, type SocketContext } from './graphql.ts';
import { addressOf, pathOf } from './http.ts';
import { DeviceSocket, GOING_AWAY, PushedSubscription, TRY_AGAIN_LATER } from './socket.ts';
import type { Subscribe, SubscriptionArgs } from './subscriptions.ts';

interface Parts {
  readonly graphql: Graphql;
  readonly subscribe: Subscribe;
  readonly maskError: ErrorMask;
  readonly tokens: TokenVerifier;
  readonly users: Tally;
  readonly limits: ConnectionLimits;
  /** Whether `X-Forwarded-For` tells the client's address. */
  readonly trustProxy: boolean;
  readonly log: Logger;
}

const INIT_TIMEOUT_MS = 3_000;
/** Tokens are looked at so often. */
const TICK_MS = 500;
/** For the answer to a close; also for a client that reads slowly to get to the close. */
const CLOSE_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 1_000;

/** Arguments of an operation, as graphql-ws hands them from `onSubscribe` to `execute`. */
interface Operation extends SubscriptionArgs {
  readonly id: string;
  readonly socket: DeviceSocket;
  readonly execute?: (args: unknown) => Promise<ExecutionResult>;
}

/**
 * graphql-transport-ws on `/graphql`. Every operation goes through Yoga's envelope, so that context,
 * limits and masking are those of HTTP. A bad token, or one that runs out, closes with 4403.
 */
export function serveWebSocket(server: Server, parts: Parts) {
  const { graphql, subscribe, maskError, tokens, users, limits, log } = parts;
  const addresses = createTally(limits.anonymousPerAddress);
  const sockets = new Set<DeviceSocket>();
  const ticksAPing = Math.ceil(limits.pingMs / TICK_MS);
  /** The same sockets, spread over the ticks, so that not all are pinged at the same moment. */
  const pingedAt = Array.from({ length: ticksAPing }, () => new Set<DeviceSocket>());
  let opened = 0;
  const acceptor = new WebSocketServer<typeof DeviceSocket>({
    WebSocket: DeviceSocket,
    noServer: true,
    maxPayload: MAX_BODY_BYTES,
    perMessageDeflate: false,
    clientTracking: false,
    // Else all that came at once is answered in one turn of the event loop, in which nobody else has a turn.
    allowSynchronousEvents: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
    handleProtocols: (protocols) => handleProtocols(protocols),
    // Its types do not know closeTimeout (ws 8.19) yet.
  } as ServerOptions<typeof DeviceSocket>);

  const protocol = makeServer<Record<string, unknown>, { socket: DeviceSocket }>({
    connectionInitWaitTimeout: INIT_TIMEOUT_MS,
    async onConnect({ connectionParams, extra: { socket } }) {
      const key = Object.keys(connectionParams ?? {}).find(
        (name) => name.toLowerCase() === 'authorization',
      );
      let viewer: Viewer | undefined;
      try {
        viewer = await authenticate(tokens, key && connectionParams?.[key]);
      } catch (error) {
        // Not the token's fault when Supabase's keys cannot be fetched.
        const away = error instanceof ExpectedError && error.code === 'SERVICE_UNAVAILABLE';
        if (away) socket.close(TRY_AGAIN_LATER, 'Try again later');
        return false; // closes with 4403 Forbidden
      }
      // It may have closed while its token was being checked: then nobody would count it out.
      if (!viewer || !socket.isOpen) return true;
      const release = users.take(viewer.sub);
      if (!release) {
        socket.close(TRY_AGAIN_LATER, 'Too many connections');
        return false;
      }
      socket.enter(release, viewer);
      return true;
    },
    async onSubscribe({ extra: { socket }, subscriptions }, id, params) {
      if (Object.keys(subscriptions).length > limits.operationsPerSocket)
        return [tooManyOperations()];
      const initial: SocketContext = { socketViewer: socket.viewer };
      const enveloped = graphql.getEnveloped(initial as never);
      const document = tryParse(() => enveloped.parse(params.query));
      if (!('kind' in document)) return [withoutStatus(document)];
      const errors = enveloped.validate(enveloped.schema, document);
      if (errors.length > 0) return (errors as GraphQLError[]).map(withoutStatus);
      const { operationName, variables: variableValues } = params;
      const meant = getOperationAST(document, operationName);
      if (!meant) return [noOperationMeant()];
      const contextValue = await enveloped.contextFactory();
      const operation = { document, operationName, variableValues, contextValue, id, socket };
      // A subscription lives long: it keeps nothing that it does not need.
      const isLong = meant.operation === OperationTypeNode.SUBSCRIPTION;
      const { schema, execute } = enveloped;
      return (isLong ? operation : { ...operation, schema, execute }) as never;
    },
    execute: (args) => (args as unknown as Operation).execute?.(args) as never,
    async subscribe(args) {
      const { id, socket, ...operation } = args as unknown as Operation;
      const result = await subscribe(operation);
      if ('events' in result) return new PushedSubscription(socket, id, result, maskError) as never;
      return { errors: result.errors?.map(maskError) } as never;
    },
  });

  function open(socket: DeviceSocket): void {
    opened += 1;
    const pinged = pingedAt[opened % ticksAPing];
    sockets.add(socket);
    pinged?.add(socket);
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (data) => socket.push(data),
        close: (code, reason) => socket.close(code, reason),
        // Without what came along: graphql-ws sends it back, and fails at what is nested too deep.
        onPing: () => socket.push('{"type":"pong"}'),
        onMessage: (take) =>
          socket.on('message', (data) => {
            take(String(data)).catch((error: unknown) => {
              // One that only servers send: graphql-ws takes it for a fault of its own.
              if (/^Unexpected message of type/.test((error as Error).message))
                return socket.close(CloseCode.BadRequest, 'Invalid message');
              log.error({ err: (error as Error).stack?.split('\n').slice(1) }, 'socket');
              socket.close(CloseCode.InternalServerError, 'Internal server error');
            });
          }),
      },
      { socket },
    );
    socket.on('pong', socket.answered);
    socket.on('error', onSocketError);
    socket.on('close', (code, reason) => {
      sockets.delete(socket);
      pinged?.delete(socket);
      socket.leave();
      closed(code, String(reason));
    });
  }

  // Listeners of their own, that hold on to nothing: the head of a request is not needed for years.
  function onConnectionError(this: Duplex): void {
    this.destroy();
  }
  function onSocketError(error: Error & { code?: string }): void {
    log.debug({ code: error.code }, 'socket');
  }

  server.on('upgrade', (request: IncomingMessage, connection: Duplex, head: Buffer) => {
    // Until ws takes it over nobody else listens, and a reset would end the process.
    connection.on('error', onConnectionError);
    if (pathOf(request) !== '/graphql') return refuse(connection, '404 Not Found');
    const leave = addresses.take(addressOf(request, parts.trustProxy));
    if (!leave) return refuse(connection, '429 Too Many Requests');
    let socket: DeviceSocket | undefined;
    acceptor.handleUpgrade(request, connection, head, (upgraded) => {
      socket = upgraded;
      socket.enter(leave);
      open(socket);
    });
    // It calls back at once, or not at all.
    if (!socket) leave();
  });

  // What is no WebSocket's beginning; ws would say so in HTML.
  acceptor.on('wsClientError', (_error, connection) => refuse(connection, '400 Bad Request'));

  let ticks = 0;
  const ticking = setInterval(() => {
    const now = Date.now();
    for (const socket of sockets) {
      if (socket.viewer && socket.viewer.expiresAt.getTime() <= now) {
        socket.close(CloseCode.Forbidden, 'Forbidden');
      }
    }
    ticks += 1;
    for (const socket of pingedAt[ticks % ticksAPing] ?? []) socket.check();
  }, TICK_MS);

  return {
    get open(): number {
      return sockets.size;
    },
    /** Tells every client to come back (to another process) and waits for them to be gone. */
    async close(): Promise<void> {
      for (const socket of sockets) socket.close(GOING_AWAY, 'Going away');
      // A client that does not answer keeps nobody waiting.
      const deadline = Date.now() + STOP_TIMEOUT_MS;
      while (sockets.size > 0 && Date.now() < deadline) await sleep(10);
      for (const socket of sockets) socket.terminate();
      clearInterval(ticking);
    },
  };
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function refuse(connection: Duplex, status: string): void {
  connection.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

/** Without the HTTP status that the engine notes on it; a copy, since the engine keeps it. */
function withoutStatus(error: GraphQLError): GraphQLError {
  const { message, nodes, source, positions } = error;
  const { http: _, ...extensions } = error.extensions;
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    extensions,
  });
}

/** As the engine says over HTTP; graphql-ws says so without a code. */
const noOperationMeant = () =>
  new GraphQLError('Could not determine what operation to execute.', {
    extensions: { code: 'BAD_USER_INPUT' },
  });

const tooManyOperations = () =>
  new GraphQLError('Too many operations are running on this socket.', {
    extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 },
  });

function tryParse<T>(parse: () => T): T | GraphQLError {
  try {
    return parse();
  } catch (error) {
    return error as GraphQLError;
  }
}
