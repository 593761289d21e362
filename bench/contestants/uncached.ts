import { startChatkeep } from '../../src/chatkeep.ts';
import { readEnv } from '../../src/env.ts';
import { createLog } from '../../src/log.ts';
import { runContestant } from '../kit/contestant.ts';

/** The product without its response cache: as it goes on while its Redis is away. */
runContestant(async ({ database, jwtSecret, dataDir }) => {
  const env = readEnv({
    NODE_ENV: 'production',
    PORT: '0',
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    MIGRATION_DATABASE_URL: database.ownerUrl,
    REDIS_URL: 'redis://127.0.0.1:1',
    SUPABASE_JWT_SECRET: jwtSecret,
    LOG_LEVEL: 'error',
  });
  const { url } = await startChatkeep(env, { log: createLog(env.logLevel) });
  return `${url}/graphql`;
});
