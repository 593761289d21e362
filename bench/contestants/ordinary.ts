import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionArgs, execute, subscribe } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { createSchema, createYoga, Repeater } from 'graphql-yoga';
import { Redis } from 'ioredis';
import { jwtVerify } from 'jose';
import { WebSocketServer } from 'ws';
import { runContestant } from '../kit/contestant.ts';
import { type ChatEvent, channelOf } from '../kit/wire.ts';

const typeDefs = /* GraphQL */ `
  type Query { hello: String }
  type ChatMessage { id: ID! message: String! response: String! status: String! }
  type MessageChanged { cursor: String! message: ChatMessage! }
  type MessageDeleted { cursor: String! id: ID! }
  type ReplyDelta { messageId: ID! offset: Int! text: String! }
  type CaughtUp { cursor: String! }
  union ChatEvent = MessageChanged | MessageDeleted | ReplyDelta | CaughtUp
  type Subscription { chatEvents(after: String): ChatEvent! }
`;

interface Context {
  readonly userId: string;
}

/**
 * graphql-ws and Yoga as their documentation joins them: an iterator for each socket, on which graphql-js
 * executes each event. The event comes whole through Redis, so there is no PostgreSQL. Not Yoga's own
 * pub/sub, which warns of a leak from eleven devices of one user on.
 */
runContestant(async ({ redisUrl, jwtSecret }) => {
  const key = Buffer.from(jwtSecret);
  const byChannel = new Map<string, Set<(event: ChatEvent) => void>>();
  const subscriber = new Redis(redisUrl);
  subscriber.on('message', (channel: string, text: string) => {
    const event = JSON.parse(text) as ChatEvent;
    for (const push of byChannel.get(channel) ?? []) push(event);
  });

  const listen = (channel: string) =>
    new Repeater<ChatEvent>(async (push, stop) => {
      const listeners = byChannel.get(channel) ?? new Set();
      const listener = (event: ChatEvent) => void push(event);
      byChannel.set(channel, listeners.add(listener));
      if (listeners.size === 1) await subscriber.subscribe(channel);
      push({ __typename: 'CaughtUp', cursor: '' });
      await stop;
      listeners.delete(listener);
      if (listeners.size === 0 && byChannel.delete(channel)) await subscriber.unsubscribe(channel);
    });

  const yoga = createYoga<{ connectionParams?: { authorization?: string } }, Context>({
    schema: createSchema<Context>({
      typeDefs,
      resolvers: {
        Subscription: {
          chatEvents: {
            subscribe: (_, _args, { userId }) => listen(channelOf(userId)),
            resolve: (event: ChatEvent) => event,
          },
        },
      },
    }),
    context: async ({ connectionParams }) => {
      const token = connectionParams?.authorization?.replace('Bearer ', '') ?? '';
      const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'] });
      return { userId: payload.sub as string };
    },
    logging: false,
  });
  const server = createServer(yoga);
  const acceptor = new WebSocketServer({ server, path: '/graphql', perMessageDeflate: false });
  type Args = ExecutionArgs & {
    rootValue: { execute: typeof execute; subscribe: typeof subscribe };
  };
  useServer(
    {
      execute: (args) => (args as Args).rootValue.execute(args),
      subscribe: (args) => (args as Args).rootValue.subscribe(args),
      async onSubscribe(context, _id, params) {
        const enveloped = yoga.getEnveloped({
          ...context,
          req: context.extra.request,
          socket: context.extra.socket,
          params,
        });
        const { schema, parse, validate, contextFactory } = enveloped;
        const args = {
          schema,
          operationName: params.operationName,
          document: parse(params.query),
          variableValues: params.variables,
          contextValue: await contextFactory(),
          rootValue: { execute: enveloped.execute, subscribe: enveloped.subscribe },
        };
        const errors = validate(args.schema, args.document);
        return errors.length > 0 ? errors : args;
      },
    },
    acceptor,
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
});
