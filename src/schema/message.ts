import type { Exchange } from '../services/history.ts';
import { instantOf } from '../resolvers/instant.ts';
import * as resolve from '../resolvers/messages.ts';
import { builder } from './builder.ts';
import { Node } from './node.ts';

const ReplyStatus = builder.enumType('ReplyStatus', {
  description: 'How far the reply to a message is.',
  values: {
    PENDING: { description: 'The message is stored; the first word of the reply is awaited.' },
    STREAMING: { description: 'The reply is being written.' },
    COMPLETE: { description: 'The reply is there, to its end.' },
    STOPPED: { description: 'The user stopped it; what had come is kept.' },
    FAILED: { description: 'It did not come, or broke off; what had come is kept.' },
  } as const,
});

export const Mood = builder.enumType('Mood', {
  description: 'The mood of what the user wrote, by the published thresholds of the VADER lexicon.',
  values: {
    POSITIVE: { description: 'moodScore of at least 0.05.' },
    NEUTRAL: { description: 'In between.' },
    NEGATIVE: { description: 'moodScore of at most -0.05.' },
  } as const,
});

export const ChatMessage = builder.objectRef<Exchange>('ChatMessage').implement({
  description: 'One exchange: what the user wrote and what came back.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7, or the UUID that the client chose.' }),
    cursor: t.string({
      description:
        'Its place in the history, as ChatEdge.cursor; opaque. Hand it to chatHistory as after for what is older, or as before for what is newer.',
      resolve: (row) => resolve.placeOf(row),
    }),
    message: t.exposeString('message', { description: 'What the user wrote.' }),
    response: t.exposeString('response', {
      description: 'What has come back so far; empty until the first word.',
    }),
    status: t.expose('status', { type: ReplyStatus, description: 'How far the reply is.' }),
    failure: t.exposeString('failure', {
      nullable: true,
      description:
        'For a person: why the reply FAILED, or that a COMPLETE one was cut at the longest the model can write.',
    }),
    personalityContext: t.expose('personalityContext', {
      type: 'JSON',
      nullable: true,
      description:
        'The object that was sent along with the message, or the personality that the user had then.',
    }),
    hasPersonalityContext: t.exposeBoolean('hasPersonalityContext', {
      description: 'Whether a personalityContext went along.',
    }),
    mood: t.expose('mood', { type: Mood, description: 'The mood of what the user wrote.' }),
    moodScore: t.exposeFloat('moodScore', {
      description:
        'The mood from -1 (negative) to 1 (positive), read from the first 4,000 characters.',
    }),
    createdAt: t.field({
      type: 'DateTime',
      description:
        'When the message was stored. The history is in this order, and no two messages that a user sent share a millisecond.',
      resolve: (row) => instantOf(row.createdAt),
    }),
    updatedAt: t.field({
      type: 'DateTime',
      description: 'When the exchange last changed.',
      resolve: (row) => instantOf(row.updatedAt),
    }),
  }),
});

const SendMessageInput = builder.inputType('SendMessageInput', {
  description: 'A message to be stored and answered.',
  fields: (t) => ({
    id: t.id({
      description:
        'A UUID chosen by the client. Sending it again returns the first result and stores nothing new; with another body it is a CONFLICT.',
    }),
    message: t.string({
      required: true,
      description: '1 to 32,000 characters that are not all blank.',
    }),
    personalityContext: t.field({
      type: 'JSON',
      description:
        'An object of at most 16 KiB: data about the person, for the model to consider. Without it, the personality of the user goes along; null: nothing does.',
    }),
    awaitReply: t.boolean({
      defaultValue: true,
      description:
        'false: return as soon as the message is stored; the reply comes by subscription.',
    }),
  }),
});

const SendMessagePayload = builder
  .objectRef<{ message: Exchange }>('SendMessagePayload')
  .implement({
    description: 'What became of a message.',
    fields: (t) => ({
      message: t.expose('message', { type: ChatMessage, description: 'The stored exchange.' }),
    }),
  });

builder.queryField('message', (t) =>
  t.field({
    type: ChatMessage,
    nullable: true,
    description: "One exchange; null if there is none, or it is another user's.",
    args: { id: t.arg.id({ required: true, description: "The message's id." }) },
    resolve: (_, args, context) => resolve.message(args, context),
  }),
);

builder.mutationFields((t) => ({
  sendMessage: t.field({
    type: SendMessagePayload,
    description:
      'Stores a message, then has it answered. That the model does not answer is no error: status is FAILED then. RATE_LIMITED above the limit of new messages a minute.',
    args: {
      input: t.arg({ type: SendMessageInput, required: true, description: 'The message.' }),
    },
    resolve: (_, args, context) => resolve.sendMessage(args, context),
  }),
  stopReply: t.field({
    type: ChatMessage,
    description:
      'Stops a reply from any device and keeps what has come so far. CONFLICT if it is COMPLETE or FAILED.',
    args: { id: t.arg.id({ required: true, description: "The message's id." }) },
    resolve: (_, args, context) => resolve.stopReply(args, context),
  }),
  retryReply: t.field({
    type: ChatMessage,
    description:
      'Has a FAILED or STOPPED reply written anew and waits for it. CONFLICT in any other state.',
    args: { id: t.arg.id({ required: true, description: "The message's id." }) },
    resolve: (_, args, context) => resolve.retryReply(args, context),
  }),
  deleteMessage: t.id({
    description: 'Deletes an exchange for good, and returns its id, which is not free again.',
    args: { id: t.arg.id({ required: true, description: "The message's id." }) },
    resolve: (_, args, context) => resolve.deleteMessage(args, context),
  }),
}));
