import { moodTrend } from '../resolvers/trend.ts';
import type { MoodPoint as Point } from '../services/trend.ts';
import { builder } from './builder.ts';

const TrendBucket = builder.enumType('TrendBucket', {
  description: 'How long a point of a trend is, in the calendar of the time zone.',
  values: {
    DAY: { description: 'From midnight to midnight.' },
    WEEK: { description: 'From Monday on.' },
    MONTH: { description: 'From the first on.' },
  } as const,
});

const MoodPoint = builder.objectRef<Point>('MoodPoint').implement({
  description: 'The mood of what the user wrote in a day, a week or a month.',
  fields: (t) => ({
    start: t.expose('start', { type: 'Date', description: 'The day it begins.' }),
    messageCount: t.exposeInt('messageCount', { description: 'How many messages; also 0.' }),
    moodScore: t.exposeFloat('moodScore', {
      nullable: true,
      description: 'The mean of their moodScore; null if there are none.',
    }),
    positive: t.exposeInt('positive', { description: 'How many of them are POSITIVE.' }),
    neutral: t.exposeInt('neutral', { description: 'How many of them are NEUTRAL.' }),
    negative: t.exposeInt('negative', { description: 'How many of them are NEGATIVE.' }),
  }),
});

builder.queryField('moodTrend', (t) =>
  t.field({
    type: [MoodPoint],
    description:
      "How the signed-in user's mood went, oldest first: a point for every bucket from the one that holds from, also for those without messages. Only what was written from from on and before to is counted.",
    args: {
      from: t.arg({ type: 'Date', required: true, description: 'The first day.' }),
      to: t.arg({
        type: 'Date',
        required: true,
        description: 'The day after the last; at most 4,000 buckets after from.',
      }),
      bucket: t.arg({
        type: TrendBucket,
        defaultValue: 'DAY',
        description: 'How long a point is.',
      }),
      timeZone: t.arg.string({
        defaultValue: 'UTC',
        description: 'Whose midnights are meant: an IANA name, e.g. Europe/Berlin.',
      }),
    },
    resolve: (_, args, context) => moodTrend(args, context),
  }),
);
