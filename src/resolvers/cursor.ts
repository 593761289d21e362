import { createHash } from 'node:crypto';
import type { Position } from '../services/history.ts';
import { badInput } from '../errors.ts';

const MAX_LENGTH = 200;
const SUM_BYTES = 8;
const POSITION =
  /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)((?:\.\d{1,6})?\+00) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const RANKED = /^(rank|near) (\d) (.*)$/;
/** Up to bigint's largest. */
const CHANGE = /^change (0|[1-9]\d{0,18})$/;
const LARGEST = 2n ** 63n - 1n;

/*
 * An opaque cursor: a text and a checksum over it and the user. The checksum tells a damaged or
 * foreign cursor from a good one, so that it is refused instead of silently meaning another place. It
 * protects nothing: a cursor is a position, never a right; whose rows come out is for row level
 * security.
 */

/** The cursor of a place in the history. */
export const encodeCursor = (userId: string, { createdAt, id }: Position): string =>
  seal(userId, `${createdAt} ${id}`);

interface Hit extends Position {
  readonly rank: number;
  readonly approximate: boolean;
}

/**
 * The cursor of a place among hits by relevance, or among near spellings in either order: another one than
 * that in the history.
 */
export const encodeRankedCursor = (userId: string, hit: Hit): string =>
  seal(userId, `${hit.approximate ? 'near' : 'rank'} ${hit.rank} ${hit.createdAt} ${hit.id}`);

/** The cursor of a change. */
export const encodeChangeCursor = (userId: string, seq: bigint): string =>
  seal(userId, `change ${seq}`);

type Given = string | null | undefined;

/** @throws BAD_USER_INPUT for anything that `encodeCursor` did not make for this user */
export function decodeCursor(
  userId: string,
  argument: string,
  cursor: Given,
): Position | undefined {
  if (cursor === null || cursor === undefined) return undefined;
  return readPosition(unseal(userId, cursor), argument);
}

/**
 * A place among hits: by time that of a cursor of the history, by relevance one with a rank.
 *
 * @throws BAD_USER_INPUT for anything else, cursors of the other order included
 */
export function decodeHitCursor(
  userId: string,
  argument: string,
  cursor: Given,
  byRelevance: boolean,
): (Position & { readonly rank?: number }) | undefined {
  if (cursor === null || cursor === undefined) return undefined;
  const text = unseal(userId, cursor);
  const [, kind, rank, position = ''] = RANKED.exec(text) ?? [];
  if (kind === 'near' || byRelevance) {
    return { rank: Number(rank), ...readPosition(position, argument) };
  }
  return readPosition(text, argument);
}

function readPosition(text: string, argument: string): Position {
  const [, seconds, rest, id] = POSITION.exec(text) ?? [];
  if (seconds === undefined || id === undefined || !isDate(seconds)) throw notOurs(argument);
  return { createdAt: `${seconds}${rest}`, id };
}

/** @throws BAD_USER_INPUT for anything that `encodeChangeCursor` did not make for this user */
export function decodeChangeCursor(
  userId: string,
  argument: string,
  cursor: Given,
): bigint | undefined {
  if (cursor === null || cursor === undefined) return undefined;
  const digits = CHANGE.exec(unseal(userId, cursor))?.[1];
  if (digits === undefined || BigInt(digits) > LARGEST) throw notOurs(argument);
  return BigInt(digits);
}

const notOurs = (argument: string) => badInput(argument, 'This cursor is not one of ours.');

function seal(userId: string, text: string): string {
  return Buffer.concat([checksum(userId, text), Buffer.from(text)]).toString('base64url');
}

/** The text under the seal; empty if it is not ours. */
function unseal(userId: string, cursor: string): string {
  const bytes = Buffer.from(cursor.slice(0, MAX_LENGTH + 1), 'base64url');
  const text = bytes.subarray(SUM_BYTES).toString();
  // Sealed again, since base64 has more than one way to write the same bytes.
  return seal(userId, text) === cursor ? text : '';
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
