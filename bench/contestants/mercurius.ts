import type { IncomingHttpHeaders } from 'node:http';
import Fastify from 'fastify';
import mercurius from 'mercurius';
import { schema } from '../../src/schema/index.ts';
import { runContestant } from '../kit/contestant.ts';
import { createOrdinary } from '../kit/ordinary.ts';

/** Mercurius with its JIT. */
runContestant(async (settings) => {
  const contextOf = createOrdinary(settings);
  const app = Fastify();
  await app.register(mercurius, {
    schema,
    jit: 1,
    context: ({ headers }: { headers: IncomingHttpHeaders }) => contextOf(headers.authorization),
  });
  return `${await app.listen({ port: 0, host: '127.0.0.1' })}/graphql`;
});
