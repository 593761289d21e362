import { startChatkeep } from '../../src/chatkeep.ts';
import { readEnv } from '../../src/env.ts';
import { createLog } from '../../src/log.ts';
import { runContestant } from '../kit/contestant.ts';

/** The product as it is. Only its limits are raised: all devices here come from one address. */
runContestant(async ({ redisUrl, database, jwtSecret, dataDir }) => {
  const env = readEnv({
    NODE_ENV: 'production',
    PORT: '0',
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    MIGRATION_DATABASE_URL: database.ownerUrl,
    REDIS_URL: redisUrl,
    SUPABASE_JWT_SECRET: jwtSecret,
    LOG_LEVEL: 'warn',
  });
  const chatkeep = await startChatkeep(env, {
    log: createLog(env.logLevel),
    connectionLimits: { perUser: 100_000, anonymousPerAddress: 100_000 },
  });
  return `${chatkeep.url.replace('http', 'ws')}/graphql`;
});
