import { createHash } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { extname } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { chooseEncoding, type Encoding, isKnown } from './negotiation.ts';

/** A file in memory, as it is sent. */
export interface File {
  readonly type: string;
  readonly etag: string;
  readonly body: Buffer;
  /** The same, compressed; what is not there is not offered. */
  readonly encoded: Encoded;
}

type Encoded = Readonly<Partial<Record<Encoding, Buffer>>>;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

/** A file from its bytes; its type is its name's. */
export function createFile(name: string, body: Buffer, encoded: Encoded = {}): File {
  return {
    type: TYPES[extname(name)] ?? 'application/octet-stream',
    etag: createHash('sha256').update(body).digest('base64url').slice(0, 22),
    body,
    encoded,
  };
}

/** Likewise, compressed fast. */
export async function createZippedFile(name: string, body: Buffer): Promise<File> {
  return createFile(name, body, { gzip: await promisify(gzip)(body) });
}

/** Answers with the file, or with 304, encoded as the client wants it. */
export function sendFile(
  file: File,
  headers: OutgoingHttpHeaders,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const encoding = chooseEncoding(request.headers['accept-encoding'], (one) => !!file.encoded[one]);
  const body = (encoding && file.encoded[encoding]) ?? file.body;
  // A strong tag names the very bytes: each encoding has its own (RFC 9110, 8.8.3.3).
  const etag = `"${file.etag}${encoding ? `-${encoding}` : ''}"`;
  const head = { ...headers, vary: 'accept-encoding', etag };
  if (isKnown(request.headers['if-none-match'], etag)) {
    response.writeHead(304, head).end();
    return;
  }
  response.writeHead(200, {
    ...head,
    'content-type': file.type,
    'content-length': body.length,
    ...(encoding && { 'content-encoding': encoding }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
