import { createHash } from 'node:crypto';
import type { Position } from '../services/history.ts';
import { badInput } from '../errors.ts';

const MAX_LENGTH = 200;
const SUM_BYTES = 8;
const POSITION =
  /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)((?:\.\d{1,6})?\+00) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/**
 * An opaque cursor: a position and a checksum over it and the user. The checksum tells a damaged or
 * foreign cursor from a good one, so that it is refused instead of silently meaning another place. It
 * protects nothing: a cursor is a position, never a right; whose rows come out is for row level
 * security.
 */
export function encodeCursor(userId: string, { createdAt, id }: Position): string {
  const text = `${createdAt} ${id}`;
  return Buffer.concat([checksum(userId, text), Buffer.from(text)]).toString('base64url');
}

/** @throws BAD_USER_INPUT for anything that `encodeCursor` did not make for this user */
export function decodeCursor(
  userId: string,
  argument: string,
  cursor: string | null | undefined,
): Position | undefined {
  if (cursor === null || cursor === undefined) return undefined;
  const bytes = Buffer.from(cursor.slice(0, MAX_LENGTH + 1), 'base64url');
  const text = bytes.subarray(SUM_BYTES).toString();
  const [, seconds, rest, id] = POSITION.exec(text) ?? [];
  const createdAt = `${seconds}${rest}`;
  const ours =
    seconds !== undefined &&
    id !== undefined &&
    isDate(seconds) &&
    // Encoded again, since base64 has more than one way to write the same bytes.
    encodeCursor(userId, { createdAt, id }) === cursor;
  if (!ours) throw badInput(argument, 'This cursor is not one of ours.');
  return { createdAt, id };
}

/** Whether PostgreSQL will read it: no 30th of February, no 25 o'clock. */
function isDate(seconds: string): boolean {
  const iso = seconds.replace(' ', 'T');
  const date = new Date(`${iso}Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(iso);
}

function checksum(userId: string, text: string): Buffer {
  return createHash('sha256').update(`${userId} ${text}`).digest().subarray(0, SUM_BYTES);
}
