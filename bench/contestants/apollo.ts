import type { IncomingMessage } from 'node:http';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { schema } from '../../src/schema/index.ts';
import { runContestant } from '../kit/contestant.ts';
import { createOrdinary } from '../kit/ordinary.ts';

/** Apollo Server as its documentation begins. */
runContestant(async (settings) => {
  const contextOf = createOrdinary(settings);
  const { url } = await startStandaloneServer(new ApolloServer({ schema }), {
    listen: { port: 0, host: '127.0.0.1' },
    context: ({ req }: { req: IncomingMessage }) => contextOf(req.headers.authorization),
  });
  return `${url}graphql`;
});
