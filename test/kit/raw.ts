import { connect } from 'node:net';

/** Whether enough has come back, so that the connection may be cut. */
type Enough = (answer: Buffer) => boolean;

const SILENCE_MS = 20_000;

/**
 * Writes bytes to a server as they are, ends its side of the connection, and answers all that comes back.
 * Rejects when the server neither answers nor hangs up.
 */
export function exchange(
  url: string,
  pieces: readonly Buffer[],
  enough: Enough = () => false,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const chunks: Buffer[] = [];
    const silence = setTimeout(() => {
      socket.destroy();
      reject(new Error(`No answer and no end in ${SILENCE_MS} ms.`));
    }, SILENCE_MS);
    let next = 0;
    const write = () => {
      const piece = pieces[next];
      next += 1;
      if (piece) socket.write(piece);
      if (next >= pieces.length) socket.end();
    };
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      // A piece waits for the answer to the one before.
      if (next < pieces.length) write();
      if (enough(Buffer.concat(chunks))) socket.destroy();
    });
    socket.on('end', () => socket.destroy());
    // Who is refused in the middle of a sentence is cut off.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(silence);
      resolve(Buffer.concat(chunks));
    });
    socket.on('connect', write);
  });
}

export interface Response {
  readonly status: number;
  readonly head: string;
  /** Joined, if it came in chunks. */
  readonly body: string;
  /** Whether all of the body has come. */
  readonly complete: boolean;
}

/** The last response to what was sent on a connection; undefined when there was none. */
export function responseOf(answer: Buffer): Response | undefined {
  const text = answer.toString('latin1').replace(/^(HTTP\/1\.1 100 Continue\r\n\r\n)+/, '');
  const at = text.indexOf('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0);
  if (at < 0 || status === 0) return undefined;
  const head = text.slice(0, at).toLowerCase();
  let body = text.slice(at + 4);
  const length = /content-length: (\d+)/.exec(head)?.[1];
  let complete = length !== undefined && body.length >= Number(length);
  if (length !== undefined) body = body.slice(0, Number(length));
  if (/transfer-encoding: chunked/.test(head)) {
    const chunks: string[] = [];
    for (let rest = body; ; ) {
      const [line, size] = /^([0-9a-f]+)\r\n/i.exec(rest) ?? [];
      if (line === undefined || size === undefined) break;
      const bytes = Number.parseInt(size, 16);
      complete = bytes === 0;
      if (complete) break;
      chunks.push(rest.slice(line.length, line.length + bytes));
      rest = rest.slice(line.length + bytes + 2);
    }
    body = chunks.join('');
  }
  return { status, head, body: Buffer.from(body, 'latin1').toString(), complete };
}

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  /** The three bits between the first one and the opcode. */
  readonly reserved?: number;
  readonly isLast?: boolean;
  readonly isMasked?: boolean;
  /** What it says that its length is, if that is not true. */
  readonly length?: number;
}

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** A frame of RFC 6455, 5.2, good or bad, as a client sends it. */
export function encodeFrame(frame: Frame): Buffer {
  const { opcode, payload, reserved = 0, isLast = true, isMasked = true } = frame;
  const length = frame.length ?? payload.length;
  const head = [(isLast ? 0x80 : 0) | ((reserved & 7) << 4) | (opcode & 15)];
  const mask = isMasked ? 0x80 : 0;
  if (length < 126) head.push(mask | length);
  else if (length < 65_536) head.push(mask | 126, length >> 8, length & 255);
  else {
    const long = Buffer.alloc(8);
    long.writeBigUInt64BE(BigInt(length));
    head.push(mask | 127, ...long);
  }
  const masked = isMasked ? payload.map((byte, i) => byte ^ (MASK[i % 4] as number)) : payload;
  return Buffer.concat([Buffer.from(head), isMasked ? MASK : Buffer.alloc(0), masked]);
}

/** What a server has sent on a WebSocket behind its handshake. */
export function framesOf(bytes: Buffer): { texts: string[]; code: number | undefined } {
  const texts: string[] = [];
  let code: number | undefined;
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = bytes.readUInt8(at) & 15;
    let length = bytes.readUInt8(at + 1) & 127;
    at += 2;
    if (length === 126 && at + 2 <= bytes.length) {
      length = bytes.readUInt16BE(at);
      at += 2;
    } else if (length === 127 && at + 8 <= bytes.length) {
      length = Number(bytes.readBigUInt64BE(at));
      at += 8;
    }
    if (at + length > bytes.length) break;
    const payload = bytes.subarray(at, at + length);
    if (opcode === 1) texts.push(payload.toString());
    if (opcode === 8 && length >= 2) code = payload.readUInt16BE(0);
    at += length;
  }
  return { texts, code };
}
