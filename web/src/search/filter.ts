import { addDays, formatISO, startOfYear, subDays, subYears } from 'date-fns';
import type { ChatFilter, Mood } from '../graphql/generated/graphql.ts';
import type { Narrowing } from '../location.ts';

export const MOODS = ['POSITIVE', 'NEUTRAL', 'NEGATIVE'] as const satisfies readonly Mood[];

/** What of a narrowing was understood: whole days in the reader's time zone, and moods. */
export interface Understood {
  readonly from: Date | undefined;
  readonly to: Date | undefined;
  readonly moods: readonly Mood[];
}

export function understand({ from, to, moods }: Narrowing): Understood {
  const [first, last] = [dayOf(from), dayOf(to)];
  const isTurned = first && last && first > last;
  return {
    from: isTurned ? last : first,
    to: isTurned ? first : last,
    moods: MOODS.filter((mood) => moods.includes(mood)),
  };
}

/** The server's filter; `to` is its whole day. */
export function filterOf({ from, to, moods }: Understood): ChatFilter {
  return {
    ...(from && { from: from.toISOString() }),
    ...(to && { to: addDays(to, 1).toISOString() }),
    ...(moods.length > 0 && { mood: [...moods] }),
  };
}

/** The start of a day; undefined for what is none, as a date field has it while its year is written. */
function dayOf(text: string | undefined): Date | undefined {
  if (!text || !/^[12]\d{3}-\d\d-\d\d$/.test(text)) return undefined;
  const day = new Date(`${text}T00:00`);
  return Number.isNaN(day.getTime()) ? undefined : day;
}

const day = (date: Date): string => formatISO(date, { representation: 'date' });

/** Spans of time that people mean, as of a day. */
export function spans(today: Date): { name: string; from: string; to: string }[] {
  const year = startOfYear(today);
  return [
    { name: 'Last 7 days', from: day(subDays(today, 6)), to: day(today) },
    { name: 'Last 30 days', from: day(subDays(today, 29)), to: day(today) },
    { name: 'This year', from: day(year), to: day(today) },
    { name: 'Last year', from: day(subYears(year, 1)), to: day(subDays(year, 1)) },
  ];
}

const days = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/** The days in words. */
export function describeDays({ from, to }: Understood): string {
  if (from && to) return days.formatRange(from, to);
  if (from) return `Since ${days.format(from)}`;
  if (to) return `Until ${days.format(to)}`;
  return 'Any time';
}

/** Whether there is something to search for in it, as the server reads a query. */
export const hasWords = (query: string): boolean => /[^\s\p{Cf}"“”„]/u.test(query);
