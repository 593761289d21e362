import type { Claims } from '../db/database.ts';
import type { MessageStore, MoodPoint, TrendQuery } from '../db/messages.ts';
import { badInput } from '../errors.ts';

export type { MoodPoint };

export interface TrendRequest {
  /** The first day, as YYYY-MM-DD. */
  readonly from: string;
  /** The day after the last. */
  readonly to: string;
  readonly bucket?: TrendQuery['bucket'] | null | undefined;
  readonly timeZone?: string | null | undefined;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const MAX_BUCKETS = 4000;

/** How the user's mood went from day to day, week to week or month to month. */
export async function moodTrend(
  messages: MessageStore,
  viewer: Claims,
  request: TrendRequest,
): Promise<readonly MoodPoint[]> {
  const bucket = request.bucket ?? 'DAY';
  const from = checkDay('from', request.from);
  const to = checkDay('to', request.to);
  const timeZone = checkTimeZone('timeZone', request.timeZone ?? 'UTC');
  if (to < from) throw badInput('to', 'to is before from.');
  if (to === from) return [];
  const lastDay = new Date(Date.parse(to) - DAY_MS);
  if (numberOf(lastDay, bucket) - numberOf(new Date(from), bucket) >= MAX_BUCKETS) {
    throw badInput('to', `This is too long: ${MAX_BUCKETS} points are the limit.`);
  }
  return messages.trend(viewer, { from, to, bucket, timeZone });
}

/** Counts the buckets, from any one on. */
function numberOf(day: Date, bucket: TrendQuery['bucket']): number {
  if (bucket === 'MONTH') return day.getUTCFullYear() * 12 + day.getUTCMonth();
  const days = day.getTime() / DAY_MS;
  // 1970 began on a Thursday.
  return bucket === 'WEEK' ? Math.floor((days + 3) / 7) : days;
}

/** PostgreSQL has no year 0. */
function checkDay(argument: string, day: string): string {
  if (day < '0001-01-01') throw badInput(argument, 'Years go from 0001 to 9999.');
  return day;
}

/**
 * The region that a time zone's name stands for. A name without one could be an abbreviation to
 * PostgreSQL, which knows no summer in CET.
 */
function checkTimeZone(argument: string, name: string): string {
  const zone = resolve(name);
  if (zone === undefined || !(zone === 'UTC' || zone.includes('/'))) {
    throw badInput(argument, 'A time zone is an IANA name, e.g. Europe/Berlin.');
  }
  return zone;
}

function resolve(name: string): string | undefined {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}
