import { startEmbeddedPostgres } from '../../src/db/embedded/index.ts';
import { createLog } from '../../src/log.ts';

/*
 * A server that has nothing but its embedded PostgreSQL: tells its parent how the start went, and
 * stops in order on SIGTERM. `embedded.ts` starts it and can kill it.
 */

export type Report =
  | { readonly kind: 'started'; readonly url: string; readonly ownerUrl: string }
  | { readonly kind: 'failed'; readonly name: string; readonly message: string };

function report(message: Report): void {
  process.send?.(message);
}

const [, , dataDir = ''] = process.argv;
try {
  const embedded = await startEmbeddedPostgres({ dataDir, log: createLog('info') });
  process.once('SIGTERM', () => {
    void embedded.stop().then(() => process.disconnect?.());
  });
  report({ kind: 'started', url: embedded.url, ownerUrl: embedded.ownerUrl });
} catch (error) {
  const { name, message } = error as Error;
  report({ kind: 'failed', name, message });
  process.disconnect?.();
}
