import { GraphQLScalarType } from 'graphql';
import { GraphQLDateTimeISO, GraphQLJSON, GraphQLLocalDate } from 'graphql-scalars';
import { builder } from './builder.ts';

const { serialize, ...dateTimeConfig } = GraphQLDateTimeISO.toConfig();
const WRITTEN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const dateTime = new GraphQLScalarType<Date | string>({
  ...dateTimeConfig,
  serialize: (value) =>
    typeof value === 'string' && WRITTEN.test(value) ? value : serialize(value),
  name: 'DateTime',
  description: 'An instant in UTC as ISO 8601 writes it, e.g. 2026-11-22T12:00:00.000Z.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339',
});

const date = new GraphQLScalarType({
  ...GraphQLLocalDate.toConfig(),
  name: 'Date',
  description: 'A day in a calendar as ISO 8601 writes it, e.g. 2026-11-22.',
});

const json = new GraphQLScalarType({
  ...GraphQLJSON.toConfig(),
  description: 'A JSON value.',
});

builder.addScalarType('DateTime', dateTime);
builder.addScalarType('Date', date);
builder.addScalarType('JSON', json);
