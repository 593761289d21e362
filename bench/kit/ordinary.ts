import { Redis } from 'ioredis';
import { createDatabase } from '../../src/db/database.ts';
import { createMessageStore, type Page } from '../../src/db/messages.ts';
import type { PageQuery } from '../../src/db/pages.ts';
import type { Context, Services } from '../../src/resolvers/context.ts';
import { authenticate } from '../../src/server/authentication.ts';
import { createSupabaseVerifier } from '../../src/services/tokens.ts';
import type { Settings } from './contestant.ts';

/** How long a page's rows are kept, as in the design that chatkeep replaces. */
const DAY_S = 24 * 60 * 60;

/**
 * The product's resolvers as they are used with another server: the rows of a page come from Redis as JSON,
 * or from the product's own store, which then puts them there. Tokens are verified as the product does.
 */
export function createOrdinary({ redisUrl, database, jwtSecret }: Settings) {
  const redis = new Redis(redisUrl);
  const store = createMessageStore(createDatabase({ url: database.url }));
  const tokens = createSupabaseVerifier({ url: undefined, jwtSecret });

  async function page(claims: { sub: string }, query: PageQuery): Promise<Page> {
    const key = `ordinary:${claims.sub}:${JSON.stringify(query)}`;
    const known = await redis.get(key);
    if (known) return readPage(known);
    const read = await store.page(claims, query);
    const text = JSON.stringify(read, (_, value) =>
      typeof value === 'bigint' ? `${value}n` : (value as unknown),
    );
    await redis.set(key, text, 'EX', DAY_S);
    return read;
  }

  const services = { messages: { ...store, page } } as unknown as Services;
  return async (authorization: string | null | undefined): Promise<Context> => ({
    services,
    viewer: await authenticate(tokens, authorization),
  });
}

function readPage(text: string): Page {
  const page = JSON.parse(text) as Page & { seq: unknown };
  return { ...page, seq: BigInt(String(page.seq).slice(0, -1)) };
}
