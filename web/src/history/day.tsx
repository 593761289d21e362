import { isSameYear, isToday, isYesterday, parseISO } from 'date-fns';
import { usePlaceInTime } from './place.ts';

const inThisYear = new Intl.DateTimeFormat(undefined, {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
});
const inAnyYear = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'long',
  year: 'numeric',
});

/** The reader's day in which an instant lies: for comparing. */
export const dayOf = (iso: string | undefined): string | undefined =>
  iso && parseISO(iso).toDateString();

/** A day as a person says it. */
export function nameOfDay(iso: string): string {
  const date = parseISO(iso);
  if (isToday(date)) return 'Today';
  if (isYesterday(date)) return 'Yesterday';
  return (isSameYear(date, new Date()) ? inThisYear : inAnyYear).format(date);
}

export function DayHeading({ iso }: { iso: string }) {
  return <h2 className="day">{nameOfDay(iso)}</h2>;
}

/** The day that passes at the top; the headings in the text say the same to a screen reader. */
export function StickyDay() {
  const iso = usePlaceInTime();
  if (!iso) return null;
  return (
    <div className="sticky-day" aria-hidden="true">
      <span>{nameOfDay(iso)}</span>
    </div>
  );
}
