import cluster from 'node:cluster';
import { startChatkeep } from './chatkeep.ts';
import { EnvError, readEnv } from './env.ts';
import { createLog } from './log.ts';
import { startWorkers } from './workers/primary.ts';
import { createTotalsOfWorkers, tellServing } from './workers/worker.ts';

/** For a person, who started one program: of several processes the primary speaks. */
const say = (line: string) => cluster.isPrimary && process.stdout.write(`${line}\n`);

function fail(error: unknown): never {
  const { message, code } = error as Error & { code?: string };
  const lines = error instanceof EnvError ? error.faults : [message || code];
  for (const line of lines) process.stderr.write(`chatkeep: ${line}\n`);
  process.exit(1);
}

async function main(): Promise<void> {
  const env = readEnv();
  const log = createLog(env.logLevel);
  let stopping = false;
  const onProgress = (line: string) => say(`chatkeep: ${line}`);
  const start = cluster.isPrimary && env.processes > 1 ? startWorkers : startChatkeep;
  const starting = start(env, {
    log,
    onProgress,
    onLost: fail,
    ...(cluster.isWorker && { asWorker: { totals: createTotalsOfWorkers() } }),
  });

  const stop = async (signal: string) => {
    // Ctrl-C reaches us from the terminal and from npm; asking twice is not asking harder.
    if (stopping) return;
    stopping = true;
    say(`chatkeep: stopping (${signal})`);
    const chatkeep = await starting.catch(() => undefined);
    await chatkeep?.stop();
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      stop(signal).catch(fail);
    });
  }
  process.on('unhandledRejection', (reason) => {
    log.error({ err: (reason as Error | undefined)?.stack?.split('\n').slice(1) }, 'unhandled');
  });

  const chatkeep = await starting;
  if (cluster.isWorker) return tellServing(chatkeep);
  const { url, parts } = chatkeep;
  say(`chatkeep: ${url}`);
  say(`chatkeep:   graphql: ${url}/graphql${env.graphiql ? ' (GraphiQL in a browser)' : ''}`);
  for (const [part, what] of Object.entries(parts)) say(`chatkeep:   ${part}: ${what}`);
}

main().catch(fail);
