import { describe, expect, it } from 'vitest';
import { EnvError, readEnv } from '../src/env.ts';

const faultsOf = (environment: NodeJS.ProcessEnv) => {
  try {
    readEnv(environment);
    return [];
  } catch (error) {
    if (error instanceof EnvError) return error.faults;
    throw error;
  }
};

describe('the environment', () => {
  it('needs nothing', () => {
    expect(readEnv({})).toEqual({
      port: 4000,
      host: '127.0.0.1',
      database: undefined,
      dataDir: '.data',
      redisUrl: undefined,
      gemini: undefined,
      supabase: { url: undefined, jwtSecret: undefined, anonKey: undefined },
      processes: 1,
      rateLimitPerMinute: 3000,
      trustProxy: false,
      graphiql: true,
      logLevel: 'info',
    });
  });

  it('takes an empty variable as not set', () => {
    expect(readEnv({ PORT: '', REDIS_URL: '' })).toEqual(readEnv({}));
  });

  it('names every fault at once, and no value', () => {
    const faults = faultsOf({
      PORT: 'http',
      DATABASE_URL: 'mysql://user:hunter2@host/db',
      REDIS_URL: 'redis://one:6379,two:6379',
      SUPABASE_JWT_SECRET: 'hunter2',
      GRAPHIQL: 'yes',
      LOG_LEVEL: 'loud',
      RATE_LIMIT_PER_MINUTE: '-1',
      GEMINI_MODEL: 'a model',
    });
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual([
      'PORT',
      'DATABASE_URL',
      'REDIS_URL',
      'GEMINI_MODEL',
      'SUPABASE_JWT_SECRET',
      'RATE_LIMIT_PER_MINUTE',
      'GRAPHIQL',
      'LOG_LEVEL',
    ]);
    expect(faults.join()).not.toContain('hunter2');
  });

  it('refuses an owner without a database', () => {
    expect(faultsOf({ MIGRATION_DATABASE_URL: 'postgres://localhost/a' })).toHaveLength(1);
  });

  it('refuses a key of Supabase without its URL, and a key that is none', () => {
    expect(faultsOf({ SUPABASE_ANON_KEY: 'sb_publishable_1' })).toEqual([
      'SUPABASE_ANON_KEY needs SUPABASE_URL beside it',
    ]);
    const faults = faultsOf({
      SUPABASE_URL: 'https://a.supabase.co',
      SUPABASE_ANON_KEY: '</script>',
    });
    expect(faults).toEqual(['SUPABASE_ANON_KEY has to be the publishable key of the project']);
  });

  it('refuses several processes that have no Redis between them, and a number that is none', () => {
    expect(faultsOf({ WEB_CONCURRENCY: '2' })).toEqual([
      'WEB_CONCURRENCY above 1 needs REDIS_URL beside it',
    ]);
    expect(faultsOf({ WEB_CONCURRENCY: '0' })).toHaveLength(1);
    expect(readEnv({ WEB_CONCURRENCY: '1' }).processes).toBe(1);
    const several = { WEB_CONCURRENCY: '4', REDIS_URL: 'redis://a:1' };
    expect(readEnv(several).processes).toBe(4);
  });

  it('switches GraphiQL off in production, unless told otherwise', () => {
    expect(readEnv({ NODE_ENV: 'production' }).graphiql).toBe(false);
    expect(readEnv({ NODE_ENV: 'production', GRAPHIQL: 'true' }).graphiql).toBe(true);
  });

  it('reads a list of Redis URLs as a cluster', () => {
    const { redisUrl } = readEnv({ REDIS_URL: 'redis://a:1, redis://b:2' });
    expect(redisUrl).toBe('redis://a:1,redis://b:2');
  });
});
