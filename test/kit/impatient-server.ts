import { startChatkeep } from '../../src/chatkeep.ts';
import { readEnv } from '../../src/env.ts';
import { createLog } from '../../src/log.ts';
import type { GeminiTiming } from '../../src/replies/gemini.ts';
import type { ConnectionLimits } from '../../src/server/connections.ts';
import type { ReplyTiming } from '../../src/services/replying.ts';

/*
 * The server as a process of its own, as main.ts starts it, but with shorter times, so that a test need
 * not wait for a minute until what its promise gives a minute to is over.
 */

export interface Timing {
  readonly replies?: Partial<ReplyTiming>;
  readonly gemini?: Partial<GeminiTiming>;
  readonly connections?: Partial<ConnectionLimits>;
}

const { replies = {}, gemini = {}, connections = {} }: Timing = JSON.parse(process.argv[2] ?? '{}');
const env = readEnv();
const log = createLog(env.logLevel);
process.on('unhandledRejection', (reason) => log.error({ err: String(reason) }, 'unhandled'));
const chatkeep = await startChatkeep(env, {
  log,
  replyTiming: replies,
  geminiTiming: gemini,
  connectionLimits: connections,
});
process.once('SIGTERM', () => void chatkeep.stop().then(() => process.exit(0)));
process.stdout.write(`chatkeep: ${chatkeep.url}\n`);
