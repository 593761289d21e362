import { cursorOf } from '../resolvers/events.ts';
import {
  type SearchConnection as Connection,
  type SearchEdge as Edge,
  searchChats,
} from '../resolvers/pages.ts';
import type {
  Highlight as HighlightValue,
  SearchTerm as TermValue,
  Snippet as SnippetValue,
} from '../services/search.ts';
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
    "Where the query stands in a text: UTF-16 code units, as JavaScript's slice(start, end) counts, from one grapheme to another.",
  fields: (t) => ({
    field: t.expose('field', { type: ChatField, description: 'In which of the two texts.' }),
    start: t.exposeInt('start', { description: 'Its first code unit.' }),
    end: t.exposeInt('end', { description: 'The code unit behind its last.' }),
  }),
});

const SearchOrder = builder.enumType('SearchOrder', {
  description: 'In which order hits come.',
  values: {
    NEWEST: { description: 'Newest first.' },
    RELEVANCE: {
      description:
        'First those in which every word of the query is a word, then those in which it begins one, then those in which it is a part of one; among equals newest first.',
    },
  } as const,
});

const Snippet = builder.objectRef<SnippetValue>('Snippet').implement({
  description:
    'About 160 characters of a text around the place where most of the query stands, from word to word; its beginning if nothing does.',
  fields: (t) => ({
    field: t.expose('field', { type: ChatField, description: 'Of which of the two texts.' }),
    text: t.exposeString('text', {
      description: 'As it stands in the text: of a reply, Markdown with its line breaks.',
    }),
    hasBefore: t.exposeBoolean('hasBefore', { description: 'Whether the text begins before it.' }),
    hasAfter: t.exposeBoolean('hasAfter', { description: 'Whether the text goes on behind it.' }),
    highlights: t.expose('highlights', {
      type: [Highlight],
      description:
        "Where the words of the query stand in it, counted from the snippet's beginning.",
    }),
  }),
});

const SearchTermKind = builder.enumType('SearchTermKind', {
  description: 'What a part of a query was understood as.',
  values: {
    WORD: { description: 'A text that has to occur, as a part of a word too.' },
    PHRASE: { description: 'A text between double quotes, that has to occur as it stands.' },
    FROM: {
      description: 'Where words and phrases are looked for: me is the message, reply the response.',
    },
    BEFORE: { description: 'Created before that day, month or year began, in UTC.' },
    AFTER: { description: 'Created when that day, month or year was over, in UTC.' },
    ON: { description: 'Created in that day, month or year, in UTC.' },
    MOOD: { description: 'Of that mood, or of another one that is named.' },
    HAS: { description: 'With what is named: personality is a personalityContext.' },
  } as const,
});

const SearchTerm = builder.objectRef<TermValue>('SearchTerm').implement({
  description:
    'A part of the query as it was understood. Without query.slice(start, end) the query is the same but for this part.',
  fields: (t) => ({
    kind: t.expose('kind', { type: SearchTermKind, description: 'What it is.' }),
    value: t.exposeString('value', {
      description:
        'The text that is searched for, or the value of the operator as it was read: 2026-06-01, negative, me.',
    }),
    excluded: t.exposeBoolean('excluded', {
      description: 'Whether it stands behind a minus: what fits it is left out.',
    }),
    start: t.exposeInt('start', {
      description: 'Its first code unit in query, minus, operator and quotes included.',
    }),
    end: t.exposeInt('end', { description: 'The code unit behind its last.' }),
  }),
});

const SearchEdge = builder.objectRef<Edge>('SearchEdge').implement({
  description: 'A hit in its place.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Its place among the hits; opaque.' }),
    node: t.expose('node', { type: ChatMessage, description: 'The exchange.' }),
    approximate: t.exposeBoolean('approximate', {
      description:
        'Whether the words stand here only in a near spelling. It is so for all hits or for none: near spellings are looked for when nothing else is found.',
    }),
    highlights: t.field({
      type: [Highlight],
      description: 'Where the words of the query stand, in order; at most 200 a text.',
      resolve: (edge) => edge.highlights(),
    }),
    snippet: t.field({
      type: Snippet,
      description: 'The passage of the hit that is worth showing.',
      resolve: (edge) => edge.snippet(),
    }),
  }),
});

const SearchConnection = builder.objectRef<Connection>('SearchConnection').implement({
  description: 'A page of hits.',
  fields: (t) => ({
    edges: t.expose('edges', { type: [SearchEdge], description: 'The hits with cursors.' }),
    nodes: t.expose('nodes', { type: [ChatMessage], description: 'The exchanges alone.' }),
    pageInfo: t.expose('pageInfo', { type: PageInfo, description: 'Where the page stands.' }),
    understood: t.expose('understood', {
      type: [SearchTerm],
      description: 'The parts of the query in their order, as they were understood.',
    }),
    eventsCursor: t.string({
      description: EVENTS_CURSOR,
      resolve: (page, _, context) => cursorOf(page, context),
    }),
  }),
});

const LANGUAGE = `The exchanges that fit all of the query:

| in the query | finds |
| --- | --- |
| \`word\` | in the message or in the response, whatever its case and accents, as a part of a word too; \`%\` and \`_\` mean themselves |
| \`"exact phrase"\` | as it stands; a quote that is not closed runs to the end |
| \`-word\`, \`-"phrase"\` | where it is in neither text |
| \`from:me\`, \`from:reply\` | words and phrases in the message, or in the response, alone |
| \`before:2026-06-01\` | what is older than that day |
| \`on:2026-06-01\` | what is of that day |
| \`after:2026-06-01\` | what is newer than that day: from the next one on |
| \`mood:negative\` | of that mood (positive, neutral, negative); several are any of them |
| \`has:personality\` | with a personalityContext |

A month (\`on:2026-06\`) or a year stands for all of its days; days are those of UTC. \`-mood:\` and \`-has:\` find the others. Operators alone find all that fits them. Their case does not matter; what is no operator, or an operator whose value cannot be read, is searched for as text. What was understood comes back as \`understood\`.`;

builder.queryField('searchChats', (t) =>
  t.field({
    type: SearchConnection,
    description: LANGUAGE,
    args: {
      query: t.arg.string({ required: true, description: '1 to 200 characters.' }),
      filter: t.arg({
        type: ChatFilter,
        description: 'Which exchanges; all if not given. The query narrows it further.',
      }),
      first: t.arg.int({ defaultValue: 20, description: 'How many, 1 to 100.' }),
      after: t.arg.string({
        description: 'The cursor that the page starts after, of a search in the same order.',
      }),
      orderBy: t.arg({
        type: SearchOrder,
        defaultValue: 'NEWEST',
        description: 'In which order the hits come.',
      }),
    },
    resolve: (_, args, context) => searchChats(args, context),
  }),
);
