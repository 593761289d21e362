import { validate as isUuid } from 'uuid';
import { badInput } from '../errors.ts';

/** Characters are Unicode code points, as PostgreSQL's char_length counts them. */
const lengthOf = (text: string): number => {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
};

/**
 * A text that can be stored and sent again as it is: 1 to `max` characters, not all blank, without
 * NUL (PostgreSQL has none) and lone surrogates (UTF-8 has none).
 */
export function checkText(argument: string, text: string, max: number): string {
  checkStorable(argument, text);
  if (/^[\s\p{Cf}]*$/u.test(text)) throw badInput(argument, 'Write something: this is blank.');
  if (text.length > max && lengthOf(text) > max) {
    throw badInput(argument, `This is too long: ${max} characters are the limit.`);
  }
  return text;
}

function checkStorable(argument: string, text: string): void {
  if (text.includes('\0')) throw badInput(argument, 'NUL characters cannot be stored.');
  if (!text.isWellFormed()) throw badInput(argument, 'Lone surrogates cannot be stored.');
}

/** A UUID of any version, in lower case as PostgreSQL gives it back. */
export function checkId(argument: string, id: string): string {
  if (!isUuid(id)) throw badInput(argument, 'An id is a UUID.');
  return id.toLowerCase();
}

export function checkRange(argument: string, value: number, min: number, max: number): number {
  if (value < min || value > max) {
    throw badInput(argument, `${argument} has to be from ${min} to ${max}.`);
  }
  return value;
}

/** Years that ISO 8601 writes with four digits, and PostgreSQL reads. */
export function checkInstant(argument: string, instant: Date | undefined): void {
  const year = instant?.getUTCFullYear() ?? 1;
  if (year < 1 || year > 9999) throw badInput(argument, 'Years go from 0001 to 9999.');
}

const MAX_JSON_BYTES = 16 * 1024;
const MAX_JSON_DEPTH = 64;

/** A JSON object of at most 16 KiB (as compact UTF-8), or null. */
export function checkJsonObject(argument: string, value: unknown): object | null {
  if (value === null) return null;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw badInput(argument, `${argument} has to be an object.`);
  }
  checkJson(argument, value, 1);
  if (Buffer.byteLength(JSON.stringify(value)) > MAX_JSON_BYTES) {
    throw badInput(argument, `${argument} is too large: 16 KiB are the limit.`);
  }
  return value;
}

function checkJson(argument: string, value: unknown, depth: number): void {
  if (depth > MAX_JSON_DEPTH) {
    throw badInput(argument, `${argument} is nested more than ${MAX_JSON_DEPTH} levels deep.`);
  }
  if (typeof value === 'string') checkStorable(argument, value);
  // 1e999 is a number in JSON, and Infinity, which is none, once it was read.
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw badInput(argument, `${argument} holds a number that is too large.`);
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    checkStorable(argument, key);
    checkJson(argument, part, depth + 1);
  }
}
