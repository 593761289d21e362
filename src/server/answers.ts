import type { Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 10;

/** What is being answered over HTTP, so that a process that stops can bring it to an end. */
export function createAnswers(server: Server) {
  const underWay = new Set<ServerResponse>();

  server.prependListener('request', (_, response) => {
    underWay.add(response);
    response.once('close', () => underWay.delete(response));
    if (!server.listening) leaveAfter(response);
  });

  return {
    /**
     * Takes no connection any more, and ends each one with its next answer: whoever kept it comes back to
     * another process. Resolves once all are gone.
     */
    async leave(): Promise<void> {
      const gone = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      for (const response of underWay) leaveAfter(response);
      await gone;
    },
    /** Once nobody waits for an answer. Streams do not count: they have no end. */
    async given(): Promise<void> {
      while ([...underWay].some(isAwaited)) await sleep(LOOK_MS);
    },
  };
}

function leaveAfter(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}

const isAwaited = ({ headersSent, writableEnded, writableFinished }: ServerResponse) =>
  !headersSent || (writableEnded && !writableFinished);
