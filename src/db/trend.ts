import { sql } from 'drizzle-orm';
import type { QueryBuilder } from './database.ts';
import { chatHistory } from './schema.ts';

export interface TrendQuery {
  /** The first day, as YYYY-MM-DD. */
  readonly from: string;
  /** The day after the last. */
  readonly to: string;
  readonly bucket: 'DAY' | 'WEEK' | 'MONTH';
  /** An IANA name that PostgreSQL reads as such, and not as an abbreviation like CET. */
  readonly timeZone: string;
}

/** What a user wrote in a day, a week or a month. */
export interface MoodPoint {
  /** The day it begins, as YYYY-MM-DD. */
  readonly start: string;
  readonly messageCount: number;
  readonly moodScore: number | null;
  readonly positive: number;
  readonly neutral: number;
  readonly negative: number;
}

/**
 * Walks each bucket's own stretch of the index: to compute the local day of every message would cost
 * four times as much. That is left for where a clock was changed around midnight, since a stretch can
 * hold minutes of two days in turns then: the hour after midnight comes twice, or the hour before.
 */
export function trendStatement(db: QueryBuilder, userId: string, query: TrendQuery) {
  const mood = (value: string) =>
    sql`count(*) filter (where ${chatHistory.mood} = ${sql.raw(`'${value}'`)})::int`;
  return db.execute(sql`
    with asked as (
      select ${query.from}::timestamp as since, ${query.to}::timestamp as until,
        ${query.bucket}::text as unit, ('1 ' || ${query.bucket}::text)::interval as step,
        ${query.timeZone}::text as zone
    ), edges as (
      select start, zone, midnight, at,
        (at - interval '3 hours') at time zone zone = midnight - interval '3 hours' as steady
      from asked,
        generate_series(date_trunc(unit, since), until - interval '1 day' + step, step) as start,
        lateral (select least(greatest(start, since), until) as midnight) as day,
        lateral (select midnight at time zone zone as at) as instant
    ), buckets as (
      select start, zone, midnight, lead(midnight) over later as next_midnight,
        case when steady then at else at - interval '3 hours' end as since,
        lead(at) over later as until,
        steady and lead(steady) over later as steady
      from edges window later as (order by start)
    )
    select to_char(start, 'YYYY-MM-DD') as start, counted.*
    from buckets, lateral (
      select count(*)::int as "messageCount", avg(${chatHistory.moodScore}) as "moodScore",
        ${mood('POSITIVE')} as positive, ${mood('NEUTRAL')} as neutral,
        ${mood('NEGATIVE')} as negative
      from ${chatHistory}
      where ${chatHistory.userId} = ${userId}
        and ${chatHistory.createdAt} >= since and ${chatHistory.createdAt} < until
        and (steady or (
          ${chatHistory.createdAt} at time zone zone >= midnight
          and ${chatHistory.createdAt} at time zone zone < next_midnight))
    ) as counted
    where until is not null
    order by buckets.start`);
}
