import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** How the server answers one request. */
export interface Behaviour {
  /** The reply's pieces; default: an answer about the last words of the user. */
  readonly chunks?: readonly string[];
  /** Awaited before the first piece, and after it. */
  readonly before?: Promise<void>;
  readonly afterFirst?: Promise<void>;
  /**
   * How the stream ends: with a finish reason on the last piece (default STOP), on each piece, on the
   * first alone, `none` at all, by being `cut` off, or never (`stall`).
   */
  readonly end?: string | 'stop on each' | 'stop first' | 'none' | 'cut' | 'stall';
  /** Answers with this HTTP status and Google's error body instead. */
  readonly status?: number;
  /** In the error body's details, e.g. `3s`. */
  readonly retryDelay?: string;
  /** The prompt itself is refused for this reason. */
  readonly blocked?: string;
}

export interface GeminiRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: whatever the client sent
  readonly body: any;
}

export interface GeminiServer {
  readonly url: string;
  readonly requests: GeminiRequest[];
  /** Requests whose connection is open. */
  readonly running: number;
  /** The behaviours of the next requests, in order; without: the default. */
  script(...behaviours: Behaviour[]): void;
  gate(): { readonly promise: Promise<void>; open(): void };
  reset(): void;
  stop(): Promise<void>;
}

const STATUS_NAMES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

/** A server that speaks Gemini's HTTP protocol, and does what it is told. Knows one key: `test-key`. */
export async function startGeminiServer(): Promise<GeminiServer> {
  const requests: GeminiRequest[] = [];
  let script: Behaviour[] = [];
  let running = 0;

  const server = createServer(async (request, response) => {
    running += 1;
    response.once('close', () => {
      running -= 1;
    });
    const body = JSON.parse((await text(request)) || '{}');
    const path = request.url ?? '';
    requests.push({ path, headers: request.headers, body });
    const behaviour = script.shift() ?? {};
    if (!/^\/v1beta\/models\/[^/]+:streamGenerateContent\?alt=sse$/.test(path)) {
      return sendError(response, 404, 'No such method.');
    }
    if (request.headers['x-goog-api-key'] !== 'test-key') {
      return sendError(response, 400, 'API key not valid. Please pass a valid API key.');
    }
    if (behaviour.status) {
      return sendError(response, behaviour.status, 'Not now.', behaviour.retryDelay);
    }
    await stream(response, behaviour, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    get running() {
      return running;
    },
    script(...behaviours) {
      script = behaviours;
    },
    gate() {
      let open: () => void = () => {};
      const promise = new Promise<void>((resolve) => {
        open = resolve;
      });
      return { promise, open: () => open() };
    },
    reset() {
      requests.length = 0;
      script = [];
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function stream(response: ServerResponse, behaviour: Behaviour, body: GeminiRequest['body']) {
  const { end = 'STOP' } = behaviour;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const write = (chunk: object) =>
    new Promise((resolve) => response.write(`data: ${JSON.stringify(chunk)}\r\n\r\n`, resolve));
  if (behaviour.blocked) {
    await write({ promptFeedback: { blockReason: behaviour.blocked } });
    response.end();
    return;
  }
  await behaviour.before;
  const asked = body.contents?.at(-1)?.parts?.at(-1)?.text ?? '';
  const chunks = behaviour.chunks ?? ['You ', 'wrote ', `${asked.slice(0, 100)}`];
  for (const [i, chunk] of chunks.entries()) {
    const isLast = i === chunks.length - 1;
    const finishReason = finishOf(end, i === 0, isLast);
    await write({
      candidates: [
        {
          content: { role: 'model', parts: [{ text: chunk }] },
          index: 0,
          ...(finishReason && { finishReason }),
        },
      ],
      usageMetadata: { promptTokenCount: 1, totalTokenCount: i + 2 },
      modelVersion: 'test',
    });
    if (i === 0) await behaviour.afterFirst;
  }
  if (end === 'cut') response.destroy();
  else if (end !== 'stall') response.end();
}

function finishOf(end: string, isFirst: boolean, isLast: boolean): string | undefined {
  if (end === 'none' || end === 'cut' || end === 'stall') return undefined;
  if (end === 'stop on each') return 'STOP';
  if (end === 'stop first') return isFirst ? 'STOP' : undefined;
  return isLast ? end : undefined;
}

function sendError(
  response: ServerResponse,
  code: number,
  message: string,
  retryDelay?: string,
): void {
  const details = retryDelay
    ? [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay }]
    : [];
  const status = STATUS_NAMES[code] ?? 'UNKNOWN';
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error: { code, message, status, details } }));
}
