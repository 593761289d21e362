import * as resolve from '../resolvers/events.ts';
import { builder } from './builder.ts';
import { ChatMessage } from './message.ts';

type Event<K extends resolve.ChatEvent['kind']> = Extract<resolve.ChatEvent, { kind: K }>;

const CURSOR = 'Hand it back as after to go on from here, at any time; opaque.';

const MessageChanged = builder.objectRef<Event<'changed'>>('MessageChanged').implement({
  description: 'A message was stored, its reply has ended or is written anew: its latest state.',
  fields: (t) => ({
    cursor: t.string({
      description: CURSOR,
      resolve: (e, _, context) => resolve.cursorOf(e, context),
    }),
    message: t.expose('message', { type: ChatMessage, description: 'All of it, as it is now.' }),
  }),
});

const MessageDeleted = builder.objectRef<Event<'deleted'>>('MessageDeleted').implement({
  description: 'A message was deleted.',
  fields: (t) => ({
    cursor: t.string({
      description: CURSOR,
      resolve: (e, _, context) => resolve.cursorOf(e, context),
    }),
    id: t.exposeID('id', { description: "The message's id." }),
  }),
});

const ReplyDelta = builder.objectRef<Event<'delta'>>('ReplyDelta').implement({
  description:
    'A piece of a reply that is being written. Not replayed once the reply has ended: then MessageChanged has all of it.',
  fields: (t) => ({
    messageId: t.exposeID('messageId', { description: 'Whose response it is.' }),
    offset: t.exposeInt('offset', {
      description:
        'Where text begins in the response, in UTF-16 code units; what stood there and behind it is replaced. 0 for the first one that a subscriber gets of a reply, with all the text so far.',
    }),
    text: t.exposeString('text', { description: 'The text to put there.' }),
  }),
});

const CaughtUp = builder.objectRef<Event<'caughtUp'>>('CaughtUp').implement({
  description: 'All that was missed has been sent; what comes now happens now.',
  fields: (t) => ({
    cursor: t.string({
      description: CURSOR,
      resolve: (e, _, context) => resolve.cursorOf(e, context),
    }),
  }),
});

const TYPES = {
  changed: MessageChanged,
  deleted: MessageDeleted,
  delta: ReplyDelta,
  caughtUp: CaughtUp,
} as const;

const ChatEvent = builder.unionType('ChatEvent', {
  description: "Something that happened to the signed-in user's history.",
  types: Object.values(TYPES),
  resolveType: ({ kind }) => TYPES[kind],
});

builder.subscriptionFields((t) => ({
  messageAdded: t.field({
    type: ChatMessage,
    description:
      'Every message of the signed-in user, from any device, once its reply has ended (COMPLETE, STOPPED or FAILED).',
    subscribe: (_, _args, context) => resolve.messageAdded(context),
    resolve: (row) => row,
  }),
  chatEvents: t.field({
    type: ChatEvent,
    description:
      "Everything that happens to the signed-in user's history, in one order on every device, nothing missed and nothing twice. With after: what changed since (each message once, in its latest state), then CaughtUp, then live. Without: CaughtUp first. A device reads a page, attaches with its eventsCursor, and applies what comes.",
    args: {
      after: t.arg.string({
        description: 'The last cursor that the client saw, or eventsCursor of a page, of any age.',
      }),
    },
    subscribe: (_, args, context) => resolve.chatEvents(args, context),
    resolve: (event) => event,
  }),
}));
