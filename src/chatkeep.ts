import { promisify } from 'node:util';
import { createMemoryCache } from './cache/memory.ts';
import { createRedisCache } from './cache/redis.ts';
import { createDatabase } from './db/database.ts';
import { startEmbeddedPostgres } from './db/embedded/index.ts';
import { createMessageStore } from './db/messages.ts';
import { migrateDatabase } from './db/migrate.ts';
import { createReplyStore } from './db/replies.ts';
import { createSearchBuilder, type SearchBuilder } from './db/search-index.ts';
import { createUserStore } from './db/users.ts';
import type { Env } from './env.ts';
import { createMemoryEvents } from './events/memory.ts';
import { createRedisEvents } from './events/redis.ts';
import { createSendLimiter } from './limits.ts';
import type { Logger } from './log.ts';
import { connectRedis } from './redis.ts';
import { createGeminiWriter, type GeminiTiming } from './replies/gemini.ts';
import { createOfflineWriter } from './replies/offline.ts';
import { schema } from './schema/index.ts';
import { createAnswers } from './server/answers.ts';
import { CONNECTION_LIMITS, type ConnectionLimits, createTally } from './server/connections.ts';
import { createErrorMask } from './server/errors.ts';
import { createGraphiql } from './server/graphiql.ts';
import { createGraphql } from './server/graphql.ts';
import { createHotPath } from './server/hot-path.ts';
import { createHttpServer, listen, type Readiness } from './server/http.ts';
import { createPages } from './server/pages.ts';
import { createMetrics, type MetricTotals } from './server/metrics.ts';
import { createStatus } from './server/status.ts';
import { createSubscriptions } from './server/subscriptions.ts';
import { createWeb, type WebAccounts } from './server/web.ts';
import { serveWebSocket } from './server/websocket.ts';
import { createAccounts } from './services/accounts.ts';
import { createAnnouncer } from './services/changes.ts';
import { createLive } from './services/live.ts';
import { createReplies, REPLY_TIMING, type ReplyTiming } from './services/replying.ts';
import { createSending } from './services/sending.ts';
import { createOwnTokens, createSupabaseVerifier } from './services/tokens.ts';
import { atMost } from './timers.ts';

/**
 * How long requests and replies may take to finish after SIGTERM. With all that follows it makes the ten
 * seconds after which `docker stop` kills.
 */
const DRAIN_MS = 7_000;
/** For the answers to those who waited for a reply that did not finish. */
const ANSWER_MS = 500;

export interface Chatkeep {
  readonly url: string;
  /** For the start's few lines: which parts it works with. */
  readonly parts: Readonly<Record<string, string>>;
  /** Finishes requests and replies, closes sockets with 1001, then stops the parts: ten seconds in all. */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly log: Logger;
  /** A first start takes a moment: what it is doing, for a person. */
  readonly onProgress?: (line: string) => void;
  /** Another server took the data directory while our PostgreSQL was down: nothing works any more. */
  readonly onLost?: (error: Error) => void;
  /** As one of several processes that share a port: whoever started them has prepared the database. */
  readonly asWorker?: { readonly totals: MetricTotals };
  readonly replyTiming?: Partial<ReplyTiming>;
  readonly geminiTiming?: Partial<GeminiTiming>;
  readonly connectionLimits?: Partial<ConnectionLimits>;
}

export interface PreparedDatabase {
  readonly url: string;
  /** For the start's few lines. */
  readonly name: string;
  stop(): Promise<void>;
}

/** The installation's database, migrated: one of our own where none is configured. */
export async function prepareDatabase(env: Env, options: StartOptions): Promise<PreparedDatabase> {
  const { log, onProgress = () => {}, onLost = () => {} } = options;
  const embedded = env.database
    ? undefined
    : await startEmbeddedPostgres({ dataDir: env.dataDir, log, onProgress, onLost });
  const { ownerUrl, url } = env.database ?? (embedded as NonNullable<typeof embedded>);
  let searchBuilder: SearchBuilder | undefined;
  const stop = async () => {
    await searchBuilder?.stop();
    await embedded?.stop();
  };
  try {
    const { strongRole } = await migrateDatabase(ownerUrl, url);
    if (strongRole) log.warn(strongRole);
    searchBuilder = createSearchBuilder(ownerUrl, log);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, name: embedded ? `embedded PostgreSQL in ${env.dataDir}` : 'PostgreSQL', stop };
}

/** Puts the product together: the only place that wires. */
export async function startChatkeep(env: Env, options: StartOptions): Promise<Chatkeep> {
  const { log, asWorker } = options;
  const onStop: (() => unknown)[] = [];
  const stop = async () => {
    for (const stopPart of onStop.splice(0).reverse()) await stopPart();
  };

  try {
    const prepared = asWorker && env.database ? undefined : await prepareDatabase(env, options);
    if (prepared) onStop.push(() => prepared.stop());
    const url = prepared?.url ?? (env.database as NonNullable<Env['database']>).url;
    const database = createDatabase({ url });
    onStop.push(() => database.close());

    const redis = env.redisUrl ? await connectRedis(env.redisUrl, log) : undefined;
    if (redis) onStop.push(() => redis.close());
    const cache = redis ? createRedisCache(redis) : createMemoryCache();
    const events = redis ? createRedisEvents(redis, log) : createMemoryEvents(log);
    onStop.push(() => events.close());
    const gemini = { log, timing: options.geminiTiming ?? {} };
    const writer = env.gemini
      ? createGeminiWriter({ ...env.gemini, ...gemini })
      : createOfflineWriter();

    const isOwn = !env.supabase.url && !env.supabase.jwtSecret;
    const ownTokens = isOwn ? await createOwnTokens(env.dataDir) : undefined;
    const tokens = ownTokens ?? createSupabaseVerifier(env.supabase);

    const metrics = createMetrics(asWorker?.totals);
    const messages = createMessageStore(database);
    const store = createReplyStore(database);
    const announce = createAnnouncer(cache, events, metrics.leaseMoved);
    const timing = { ...REPLY_TIMING, ...options.replyTiming };
    const replies = createReplies({ messages, store, writer, events, announce, log, timing });
    const limiter = createSendLimiter({
      perMinute: env.rateLimitPerMinute,
      ...(redis && { link: redis }),
    });
    const live = createLive({ messages, events, cache, log, lookMs: timing.lookMs });
    onStop.push(() => live.close());
    const services = {
      messages,
      sending: createSending({ messages, replies, limiter, announce, countSend: metrics.sent }),
      accounts: createAccounts({
        users: createUserStore(database),
        ...(ownTokens && { signer: ownTokens }),
      }),
      live,
    };

    const limits = { ...CONNECTION_LIMITS, ...options.connectionLimits };
    const users = createTally(limits.perUser);
    const maskError = createErrorMask(log, { hints: env.graphiql });
    const subscribe = createSubscriptions({ schema, maskError });
    const pages = createPages({ cache, messages });
    const hotPath = createHotPath({ cache, pages, services, tokens, metrics });
    const graphql = createGraphql({
      services,
      tokens,
      cache,
      pages,
      maskError,
      subscribe,
      users,
      metrics,
      hotPath,
      open: env.graphiql,
    });
    const readiness = async (): Promise<Readiness> => ({
      postgres: (await database.ping()) ? 'up' : 'down',
      redis: redis ? (redis.up ? 'up' : 'down') : 'none',
    });
    const server = createHttpServer({
      graphql,
      hotPath,
      graphiql: env.graphiql ? createGraphiql() : undefined,
      web: await createWeb(webAccounts(env.supabase)),
      metrics,
      maskError,
      limits,
      status: await createStatus({ metrics, readiness }),
      readiness,
    });
    const answers = createAnswers(server);
    const sockets = serveWebSocket(server, {
      graphql,
      subscribe,
      maskError,
      tokens,
      users,
      limits,
      trustProxy: env.trustProxy,
      log,
    });
    const { port } = await listen(server, env.port, env.host);
    metrics.watch({
      connections: promisify(server.getConnections.bind(server)),
      sockets: () => sockets.open,
      subscriptions: () => live.subscribers,
      runningReplies: () => replies.running,
    });
    onStop.push(async () => {
      const until = Date.now() + DRAIN_MS;
      const gone = answers.leave();
      await atMost(DRAIN_MS, answers.given());
      await replies.close(until - Date.now());
      await atMost(ANSWER_MS, answers.given());
      await sockets.close();
      server.closeAllConnections();
      await gone;
    });

    return {
      url: `http://${urlHost(env.host)}:${port}`,
      parts: {
        database: prepared?.name ?? 'PostgreSQL',
        cache: redis ? 'Redis' : 'in this process',
        replies: writer.name,
        accounts: isOwn ? 'own guests' : 'Supabase',
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What the web client has to know to sign in. */
function webAccounts({ url, jwtSecret, anonKey }: Env['supabase']): WebAccounts {
  if (!url && !jwtSecret) return { accounts: 'own' };
  return {
    accounts: 'supabase',
    ...(url && { supabaseUrl: url }),
    ...(anonKey && { supabaseKey: anonKey }),
  };
}

function urlHost(host: string): string {
  if (host === '127.0.0.1' || host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
