import { cursorOf } from '../resolvers/events.ts';
import { type Connection, chatHistory, type Edge } from '../resolvers/pages.ts';
import { builder } from './builder.ts';
import { ChatMessage, Mood } from './message.ts';

export const EVENTS_CURSOR =
  'The moment that the page shows, opaque: hand it to chatEvents as after, and everything that has changed since comes.';

export const PageInfo = builder.objectRef<Connection['pageInfo']>('PageInfo').implement({
  description: 'Where a page stands among the others.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Whether older ones follow.' }),
    hasPreviousPage: t.exposeBoolean('hasPreviousPage', {
      description: 'Whether newer ones stand before it.',
    }),
    startCursor: t.exposeString('startCursor', {
      nullable: true,
      description: 'The cursor of the first edge: hand it back as before for the page before.',
    }),
    endCursor: t.exposeString('endCursor', {
      nullable: true,
      description: 'The cursor of the last edge: hand it back as after for the next page.',
    }),
  }),
});

const ChatEdge = builder.objectRef<Edge>('ChatEdge').implement({
  description: 'An exchange in its place.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Its place in the history; opaque.' }),
    node: t.expose('node', { type: ChatMessage, description: 'The exchange.' }),
  }),
});

const ChatConnection = builder.objectRef<Connection>('ChatConnection').implement({
  description: 'A page of the history, newest first.',
  fields: (t) => ({
    edges: t.expose('edges', { type: [ChatEdge], description: 'The exchanges with cursors.' }),
    nodes: t.expose('nodes', { type: [ChatMessage], description: 'The exchanges alone.' }),
    pageInfo: t.expose('pageInfo', { type: PageInfo, description: 'Where the page stands.' }),
    eventsCursor: t.string({
      description: EVENTS_CURSOR,
      resolve: (page, _, context) => cursorOf(page, context),
    }),
  }),
});

export const ChatFilter = builder.inputType('ChatFilter', {
  description: 'All given parts must hold.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'Created at this instant or later.' }),
    to: t.field({ type: 'DateTime', description: 'Created before this instant.' }),
    mood: t.field({ type: [Mood], description: 'Of one of these moods.' }),
    hasPersonalityContext: t.boolean({
      description: 'With, or without, a personalityContext.',
    }),
  }),
});

builder.queryField('chatHistory', (t) =>
  t.field({
    type: ChatConnection,
    description:
      "The signed-in user's exchanges, newest first: with first and after from the newest on or from a place to what is older, with last and before from the oldest on or from a place to what is newer, with around both.",
    args: {
      first: t.arg.int({ defaultValue: 50, description: 'How many, 1 to 100.' }),
      after: t.arg.string({
        description: 'The cursor that the page starts after: the nearest that are older.',
      }),
      offset: t.arg.int({
        defaultValue: 0,
        description: 'How many to skip, counted from the newest, or from after.',
      }),
      last: t.arg.int({
        description:
          'How many, 1 to 100, counted from before, or from the oldest of the list; in the place of first, and not together with after or offset.',
      }),
      before: t.arg.string({
        description:
          'The cursor that the page ends before: the nearest that are newer. Goes with last.',
      }),
      around: t.arg.id({
        description:
          'The id of a message: it stands in the middle of the page, with as many newer as older ones as fit into first. Goes with first and filter. NOT_FOUND if there is none in the list.',
      }),
      filter: t.arg({ type: ChatFilter, description: 'Which exchanges; all if not given.' }),
    },
    resolve: (_, args, context) => chatHistory(args, context),
  }),
);
