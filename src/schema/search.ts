import { cursorOf } from '../resolvers/events.ts';
import { type Connection, type SearchEdge as Edge, searchChats } from '../resolvers/pages.ts';
import type { Highlight as HighlightValue } from '../services/search.ts';
import { builder } from './builder.ts';
import { ChatFilter, EVENTS_CURSOR, PageInfo } from './history.ts';
import { ChatMessage } from './message.ts';

const ChatField = builder.enumType('ChatField', {
  description: 'One of the two texts of an exchange.',
  values: {
    MESSAGE: { description: 'What the user wrote.' },
    RESPONSE: { description: 'What came back.' },
  } as const,
});

const Highlight = builder.objectRef<HighlightValue>('Highlight').implement({
  description:
    "Where the query stands in a text: UTF-16 code units, as JavaScript's slice(start, end) counts.",
  fields: (t) => ({
    field: t.expose('field', { type: ChatField, description: 'In which of the two texts.' }),
    start: t.exposeInt('start', { description: 'Its first code unit.' }),
    end: t.exposeInt('end', { description: 'The code unit behind its last.' }),
  }),
});

const SearchEdge = builder.objectRef<Edge>('SearchEdge').implement({
  description: 'A hit in its place.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Its place in the history; opaque.' }),
    node: t.expose('node', { type: ChatMessage, description: 'The exchange.' }),
    highlights: t.field({
      type: [Highlight],
      description: 'Where the words of the query stand, in order; at most 200 a text.',
      resolve: (edge) => edge.highlights(),
    }),
  }),
});

const SearchConnection = builder.objectRef<Connection<Edge>>('SearchConnection').implement({
  description: 'A page of hits, newest first.',
  fields: (t) => ({
    edges: t.expose('edges', { type: [SearchEdge], description: 'The hits with cursors.' }),
    nodes: t.expose('nodes', { type: [ChatMessage], description: 'The exchanges alone.' }),
    pageInfo: t.expose('pageInfo', { type: PageInfo, description: 'Where the page stands.' }),
    eventsCursor: t.string({
      description: EVENTS_CURSOR,
      resolve: (page, _, context) => cursorOf(page, context),
    }),
  }),
});

builder.queryField('searchChats', (t) =>
  t.field({
    type: SearchConnection,
    description:
      'The exchanges in which every word of the query occurs, newest first: whatever its case, as a part of a word too, in the message or in the response. Words between double quotes are one phrase; % and _ mean themselves.',
    args: {
      query: t.arg.string({ required: true, description: '1 to 200 characters.' }),
      filter: t.arg({ type: ChatFilter, description: 'Which exchanges; all if not given.' }),
      first: t.arg.int({ defaultValue: 20, description: 'How many, 1 to 100.' }),
      after: t.arg.string({ description: 'The cursor that the page starts after.' }),
    },
    resolve: (_, args, context) => searchChats(args, context),
  }),
);
