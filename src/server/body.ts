import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';

/**
 * The body of a request; undefined when it has more than `limit` bytes, of which no more are read then.
 * Rejects when the client goes away before its end.
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length <= limit) return;
      request.pause();
      resolve(undefined);
    });
    request.once('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    request.once('error', reject);
  });
}

/**
 * Gives the body back to whoever reads it next: where the engine's adapter looks for what a framework has
 * read before it.
 */
export function putBack(request: IncomingMessage, body: Buffer): void {
  Object.assign(request, { body: Readable.from([body]) });
}

/** Bytes that are written in one go. */
const PIECE = 64 * 1024;

/**
 * Ends a response with its body, of which others are served in between when it is long: the kernel takes
 * megabytes at once, and copies them while the event loop waits.
 */
export function endWith(response: ServerResponse, body: Buffer): void {
  let at = 0;
  const next = () => {
    const piece = body.subarray(at, at + PIECE);
    at += PIECE;
    if (at >= body.length) {
      response.end(piece);
    } else {
      const isTaken = response.write(piece);
      // Told at once as long as the kernel takes it: only the next turn of the loop is others'.
      if (isTaken) setImmediate(next);
      else response.once('drain', () => setImmediate(next));
    }
  };
  next();
}
