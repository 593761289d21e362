import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/** One piece of a reply; a string is its text alone. */
export interface Piece {
  readonly text: string;
  /** Waited for before it is sent: ms, or a gate. */
  readonly after?: number | Promise<void>;
  /** A part that is the model's thinking, not its reply. */
  readonly thought?: boolean;
}

/** How the server answers one request. All but gates is plain JSON, so that it can cross processes. */
export interface Behaviour {
  /** Awaited before anything is answered, the status line too; a number is ms. */
  readonly hold?: number | Promise<void>;
  /** The reply's pieces; default: an answer about the last words of the user. */
  readonly chunks?: readonly (string | Piece)[];
  /** Awaited before the first piece (the status was sent), and after it. */
  readonly before?: Promise<void>;
  readonly afterFirst?: Promise<void>;
  /**
   * How the stream ends: with a finish reason on the last piece (default STOP), on each piece, on the
   * first alone, `none` at all, by being `cut` off, or never (`stall`).
   */
  readonly end?: string | 'stop on each' | 'stop first' | 'none' | 'cut' | 'stall';
  /** Destroys the connection after so many bytes of the stream, which need not be a chunk's end. */
  readonly cutAfterBytes?: number;
  /** Sent as the body as it is, instead of pieces. */
  readonly raw?: string;
  /** Sent as the whole answer as it is, in base64, head and all; then the connection ends (`cut`: by a reset). */
  readonly wire?: string;
  /** Answers with this HTTP status and Google's error body instead. */
  readonly status?: number;
  /** In the error body's details, e.g. `3s`. */
  readonly retryDelay?: string;
  /** The error body's message. */
  readonly message?: string;
  /** The prompt itself is refused for this reason. */
  readonly blocked?: string;
}

export interface GeminiRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: whatever the client sent
  readonly body: any;
  /** When it came, as `performance.now()`. */
  readonly at: number;
}

export interface GeminiServer {
  readonly url: string;
  readonly requests: GeminiRequest[];
  /** Requests whose connection is open. */
  readonly running: number;
  /** The behaviours of the next requests, in order; without: the default. */
  script(...behaviours: Behaviour[]): void;
  /** How to answer what the script says nothing of, by the last words of the user. */
  choose(behaviourFor: (words: string) => Behaviour | undefined): void;
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

/** https://ai.google.dev/api/models#method:-models.get; what it answers is free. */
const MODEL = /^\/v1beta\/(models\/[^/:?]+)$/;
const KNOWN = /^models\/gemini-/;

const METHOD = /^\/v1beta\/models\/[^/:]+:(generateContent|streamGenerateContent\?alt=sse)$/;

/**
 * A server that speaks Gemini's HTTP protocol (`generateContent`, `streamGenerateContent` over SSE, and a
 * model's own page), and does what it is told. Knows one key, `test-key`, and every model of Gemini's.
 *
 * For a process of its own: `node --import tsx test/kit/gemini-server.ts` prints its URL, listens on
 * PORT if that is set, takes arrays of behaviours over IPC, and ends on SIGTERM.
 */
export async function startGeminiServer({ port = 0 } = {}): Promise<GeminiServer> {
  const requests: GeminiRequest[] = [];
  let script: Behaviour[] = [];
  let choose: (words: string) => Behaviour | undefined = () => undefined;
  let running = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse((await text(request)) || '{}');
    const path = request.url ?? '';
    requests.push({ path, headers: request.headers, body, at: performance.now() });
    const behaviour = script.shift() ?? choose(wordsOf(body)) ?? {};
    await waitFor(behaviour.hold);
    const method = METHOD.exec(path)?.[1];
    const model = MODEL.exec(path)?.[1];
    const isKnown = request.method === 'POST' ? method : request.method === 'GET' && model;
    if (!isKnown) return sendError(response, 404, {});
    if (request.headers['x-goog-api-key'] !== 'test-key') {
      const message = 'API key not valid. Please pass a valid API key.';
      return sendError(response, 400, { message });
    }
    if (behaviour.status) return sendError(response, behaviour.status, behaviour);
    if (model) return sendModel(response, model);
    if (behaviour.wire !== undefined) {
      return sendWire(request.socket, behaviour.wire, behaviour.end === 'cut');
    }
    if (method === 'generateContent') return sendWhole(response, behaviour, body);
    await stream(response, behaviour, body);
  }

  const server = createServer((request, response) => {
    running += 1;
    response.once('close', () => {
      running -= 1;
    });
    // A client that goes away while it sends ends here.
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get running() {
      return running;
    },
    script(...behaviours) {
      script = behaviours;
    },
    choose(behaviourFor) {
      choose = behaviourFor;
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
      choose = () => undefined;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sendWire(socket: Socket, wire: string, reset: boolean): void {
  const bytes = Buffer.from(wire, 'base64');
  if (reset) socket.write(bytes, () => socket.resetAndDestroy());
  else socket.end(bytes);
}

async function stream(response: ServerResponse, behaviour: Behaviour, body: GeminiRequest['body']) {
  const { end = 'STOP', cutAfterBytes = Number.POSITIVE_INFINITY } = behaviour;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  let sent = 0;
  const write = async (data: string) => {
    const bytes = Buffer.from(data).subarray(0, cutAfterBytes - sent);
    sent += bytes.length;
    await new Promise((resolve) => response.write(bytes, resolve));
    if (sent >= cutAfterBytes) response.destroy();
  };
  const writeChunk = (chunk: object) => write(`data: ${JSON.stringify(chunk)}\r\n\r\n`);
  await behaviour.before;
  if (behaviour.raw !== undefined) await write(behaviour.raw);
  else if (behaviour.blocked) {
    await writeChunk({ promptFeedback: { blockReason: behaviour.blocked } });
  } else {
    const pieces = piecesOf(behaviour, body);
    for (const [i, piece] of pieces.entries()) {
      await waitFor(piece.after);
      await writeChunk(chunkOf(piece, finishOf(end, i === 0, i === pieces.length - 1)));
      if (response.destroyed) return;
      if (i === 0) await behaviour.afterFirst;
    }
  }
  if (end === 'cut') response.destroy();
  else if (end !== 'stall') response.end();
}

function sendWhole(response: ServerResponse, behaviour: Behaviour, body: GeminiRequest['body']) {
  const words = piecesOf(behaviour, body).map((piece) => piece.text);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(chunkOf({ text: words.join('') }, behaviour.end ?? 'STOP')));
}

function sendModel(response: ServerResponse, name: string): void {
  if (!KNOWN.test(name)) {
    const message = `${name} is not found for API version v1beta.`;
    sendError(response, 404, { message });
    return;
  }
  const isWriter = !name.includes('embedding');
  const supportedGenerationMethods = isWriter
    ? ['generateContent', 'countTokens']
    : ['embedContent'];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ name, version: '001', supportedGenerationMethods }));
}

const wordsOf = (body: GeminiRequest['body']) =>
  String(body.contents?.at(-1)?.parts?.at(-1)?.text ?? '');

function piecesOf({ chunks }: Behaviour, body: GeminiRequest['body']): Piece[] {
  const asked = wordsOf(body).slice(0, 100);
  const pieces = chunks ?? ['You ', 'wrote ', asked.toWellFormed()];
  return pieces.map((piece) => (typeof piece === 'string' ? { text: piece } : piece));
}

const chunkOf = ({ text: words, thought }: Piece, finishReason: string | undefined) => ({
  candidates: [
    {
      content: { role: 'model', parts: [{ text: words, ...(thought && { thought }) }] },
      index: 0,
      ...(finishReason && { finishReason }),
    },
  ],
  usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
  modelVersion: 'test',
});

function finishOf(end: string, isFirst: boolean, isLast: boolean): string | undefined {
  if (end === 'none' || end === 'cut' || end === 'stall') return undefined;
  if (end === 'stop on each') return 'STOP';
  if (end === 'stop first') return isFirst ? 'STOP' : undefined;
  return isLast ? end : undefined;
}

async function waitFor(what: number | Promise<void> | undefined): Promise<void> {
  if (typeof what === 'number') await new Promise((resolve) => setTimeout(resolve, what));
  else await what;
}

function sendError(response: ServerResponse, code: number, behaviour: Behaviour): void {
  const { retryDelay, message = 'Not now.' } = behaviour;
  const details = retryDelay
    ? [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay }]
    : [];
  const status = STATUS_NAMES[code] ?? 'UNKNOWN';
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error: { code, message, status, details } }));
}

if (process.argv[1] === import.meta.filename) {
  const server = await startGeminiServer({ port: Number(process.env['PORT'] ?? 0) });
  process.on('message', (behaviours: Behaviour[]) => server.script(...behaviours));
  process.once('SIGTERM', () => void server.stop().then(() => process.disconnect?.()));
  process.stdout.write(`${server.url}\n`);
}
