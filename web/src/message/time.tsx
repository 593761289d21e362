const hour = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

/** When it was: the hour for who sees the day above it, all of it for who hears it. */
export function Time({ iso }: { iso: string }) {
  const date = new Date(iso);
  return (
    <time className="time" dateTime={iso} title={exact.format(date)}>
      <span aria-hidden="true">{hour.format(date)}</span>
      <span className="only-read-aloud">{exact.format(date)}</span>
    </time>
  );
}
