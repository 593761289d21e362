import { promisify } from 'node:util';
import { brotliCompress, gzip, constants as zlib } from 'node:zlib';
import { type ExecutionResult, GraphQLError } from 'graphql';
import type { CachedPage, Lookup, PageCache, PageKey } from '../cache/cache.ts';
import type { MessageStore } from '../db/messages.ts';
import { ExpectedError } from '../errors.ts';
import type { Context } from '../resolvers/context.ts';
import type { Encoding } from './negotiation.ts';
import type { CacheablePage } from './page-keys.ts';

/** An execution result whose body is there already; Yoga sends what `stringify` gives. */
export type Result = ExecutionResult & { stringify?: () => string };

/** How a page was answered. */
export interface Served {
  readonly result: Result;
  /** For Cache-Status (RFC 9211). */
  readonly status: string;
  /** What goes out, when it is what the cache holds. */
  readonly page?: CachedPage;
}

/** What others may share of a read: the page, or that PostgreSQL was away; or nothing. */
interface Read {
  readonly page?: CachedPage;
  readonly refused?: Result;
}

interface Parts {
  readonly cache: PageCache;
  readonly messages: MessageStore;
}

/**
 * Serves history and search pages as the finished bytes of their response, compressed as the client takes
 * them, and never stale ones: see cache/cache.ts. What is not in the cache is read once, however many ask.
 */
export function createPages({ cache, messages }: Parts) {
  /** Misses that are being read just now, so that others can wait for them. */
  const reading = new Map<string, Promise<Read>>();

  /** The page after the cache was looked into; `execute` reads and answers it, and notes it in the context. */
  async function serve(
    page: CacheablePage,
    context: Context,
    found: Lookup,
    execute: () => Promise<Result>,
  ): Promise<Served> {
    if (found.kind === 'hit') return fromCache(found);
    if (found.kind === 'away') return { result: await execute(), status: 'fwd=bypass' };
    if (found.kind === 'unleased' && found.stored && context.viewer) {
      try {
        const seq = await messages.seq(context.viewer);
        const renewed = await cache.renew(page.key, seq, found.seenAt);
        if (renewed) return fromCache(renewed);
      } catch (error) {
        // To ask PostgreSQL for the page would only take as long again.
        return { result: refusal(error), status: 'fwd=bypass' };
      }
    }
    const id = idOf(page.key);
    const shared = found.kind === 'miss' ? await reading.get(id) : undefined;
    // Only if it shows what this request has to see: it may have been read before a change that was
    // acknowledged before this request came.
    if (shared?.page && found.kind === 'miss' && shared.page.seq >= found.seq) {
      const { page } = shared;
      return { result: finished(page.body), status: 'fwd=miss; collapsed', page };
    }
    // It took the time that this request has, too.
    if (shared?.refused) return { result: shared.refused, status: 'fwd=miss; collapsed' };
    return readAndFill(page, context, found, execute);
  }

  async function readAndFill(
    page: CacheablePage,
    context: Context,
    found: Extract<Lookup, { seenAt: number }>,
    execute: () => Promise<Result>,
  ): Promise<Served> {
    const id = idOf(page.key);
    let fulfil: (read: Read) => void = () => {};
    const filling = new Promise<Read>((resolve) => {
      fulfil = resolve;
    });
    if (!reading.has(id)) reading.set(id, filling);
    let read: Read = {};
    try {
      const result = await execute();
      const fwd = found.kind === 'miss' && found.stale ? 'fwd=stale' : 'fwd=uri-miss';
      if (isAway(result)) read = { refused: { ...result } };
      if (result.errors || !context.page?.settled) return { result, status: fwd };
      const body = await encode(Buffer.from(JSON.stringify(result)), page.encoding);
      const filled = { seq: context.page.seq, body };
      read = { page: filled };
      const stored =
        body.length <= MAX_STORED_BYTES &&
        (await cache.fill(page.key, filled, found.seenAt, page.ttlSeconds));
      const status = stored ? `${fwd}; stored` : fwd;
      return { result: finished(body), status, page: filled };
    } finally {
      if (reading.get(id) === filling) reading.delete(id);
      fulfil(read);
    }
  }

  return { serve };
}

export type Pages = ReturnType<typeof createPages>;

/**
 * Larger pages, as they go out, come from PostgreSQL each time. A connection to Redis carries one answer after
 * the other: a dozen pages of 9 MB held everybody's small ones up for 800 ms, and let Redis seem away.
 */
const MAX_STORED_BYTES = 1024 * 1024;

/** What a resolver threw at the root of an answer. */
export function refusal(error: unknown): Result {
  const { message } = error as Error;
  return { data: null, errors: [new GraphQLError(message, { originalError: error as Error })] };
}

const isAway = ({ errors = [] }: Result): boolean =>
  errors.some(
    ({ originalError }) =>
      originalError instanceof ExpectedError && originalError.code === 'SERVICE_UNAVAILABLE',
  );

/** A page's key, as a text. */
export const idOf = ({ prefix, userId, suffix }: PageKey) => `${prefix}\n${userId}\n${suffix}`;

export const fromCache = (page: CachedPage): Served => ({
  result: finished(page.body),
  status: 'hit',
  page,
});

/** The body goes out as it is: a Response takes bytes as well as a string. */
function finished(body: Buffer): Result {
  return { data: {}, stringify: () => body as unknown as string };
}

/** Higher qualities take longer than what they save on the way is worth. */
const BROTLI = { params: { [zlib.BROTLI_PARAM_QUALITY]: 4 } };

async function encode(body: Buffer, encoding: Encoding | undefined): Promise<Buffer> {
  if (encoding === 'br') return promisify(brotliCompress)(body, BROTLI);
  return encoding === 'gzip' ? promisify(gzip)(body) : body;
}
