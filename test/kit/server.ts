import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { startChatkeep } from '../../src/chatkeep.ts';
import { readEnv } from '../../src/env.ts';
import { createLog } from '../../src/log.ts';
import type { ConnectionLimits } from '../../src/server/connections.ts';
import type { ReplyTiming } from '../../src/services/replying.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

export interface TestServer {
  readonly url: string;
  readonly wsUrl: string;
  readonly database: TestDatabase;
  readonly dataDir: string;
  stop(): Promise<void>;
}

export interface TestServerOptions {
  /** Environment variables beside PORT, DATA_DIR and the database's. */
  readonly env?: Readonly<Record<string, string>>;
  /** Share the database (and accounts) of another server: two processes of one installation. */
  readonly beside?: Pick<TestServer, 'database' | 'dataDir'>;
  readonly replyTiming?: Partial<ReplyTiming>;
  readonly connectionLimits?: Partial<ConnectionLimits>;
}

/** The product as main.ts starts it, in this process, on a free port and a database of its own. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { beside, replyTiming = {}, connectionLimits = {} } = options;
  const dataDir = beside?.dataDir ?? (await mkdtemp(join(tmpdir(), 'chatkeep-server-')));
  const database = beside?.database ?? (await createTestDatabase());
  const env = readEnv({
    PORT: '0',
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    MIGRATION_DATABASE_URL: database.ownerUrl,
    LOG_LEVEL: 'silent',
    ...options.env,
  });
  const chatkeep = await startChatkeep(env, {
    log: createLog(env.logLevel),
    replyTiming,
    connectionLimits,
  });
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= chatkeep
      .stop()
      .then(() => (beside ? undefined : rm(dataDir, { recursive: true, force: true })));
    return stopped;
  };
  return {
    url: chatkeep.url,
    wsUrl: chatkeep.url.replace('http', 'ws'),
    database,
    dataDir,
    stop,
  };
}

/** A server for one test. */
export async function startServerForTest(options?: TestServerOptions): Promise<TestServer> {
  const server = await startServer(options);
  onTestFinished(() => server.stop());
  return server;
}
