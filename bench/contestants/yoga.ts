import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createYoga } from 'graphql-yoga';
import { schema } from '../../src/schema/index.ts';
import { runContestant } from '../kit/contestant.ts';
import { createOrdinary } from '../kit/ordinary.ts';

/** Yoga as its documentation begins. */
runContestant(async (settings) => {
  const contextOf = createOrdinary(settings);
  const yoga = createYoga({
    schema,
    logging: false,
    context: ({ request }) => contextOf(request.headers.get('authorization')),
  });
  const server = createServer(yoga);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
});
