import { addDays, differenceInCalendarDays, formatISO, parseISO, startOfMonth } from 'date-fns';
import { useEffect, useRef, useState } from 'react';
import { useClient, useQuery } from 'urql';
import { graphql } from '../graphql/generated/index.ts';
import { type Stretches, stretchesOf, type Unit } from './stretches.ts';

const SpineEnds = graphql(/* GraphQL */ `
  query SpineEnds {
    newest: chatHistory(first: 1) {
      nodes {
        id
        createdAt
      }
      pageInfo {
        hasPreviousPage
      }
    }
    oldest: chatHistory(last: 1) {
      nodes {
        id
        createdAt
      }
    }
  }
`);

const SpineTrend = graphql(/* GraphQL */ `
  query SpineTrend($from: Date!, $to: Date!, $bucket: TrendBucket!, $timeZone: String!) {
    moodTrend(from: $from, to: $to, bucket: $bucket, timeZone: $timeZone) {
      start
      messageCount
      positive
      neutral
      negative
    }
  }
`);

/** A history that began so many days ago, or later, is shown by days. */
const MOST_DAYS = 92;
/** The counts are read again when messages come, but not more often than this, in ms. */
const READ_AGAIN_AFTER = 60_000;

/** How much was said when, over the whole life of the history; undefined until it is known. */
export function useTrend(): Stretches | undefined {
  const client = useClient();
  const { oldest, newestId } = useEnds();
  const [stretches, setStretches] = useState<Stretches>();
  const read = useRef({ oldest: '', at: 0 });

  useEffect(() => {
    if (!oldest) return setStretches(undefined);
    let left = false;
    const wait =
      newestId && read.current.oldest === oldest
        ? read.current.at + READ_AGAIN_AFTER - Date.now()
        : 0;
    const timer = setTimeout(async () => {
      read.current = { oldest, at: Date.now() };
      const { unit, ...range } = rangeSince(oldest);
      const { data } = await client
        .query(SpineTrend, { ...range, bucket: unit }, { requestPolicy: 'network-only' })
        .toPromise();
      if (data && !left) setStretches(stretchesOf(data.moodTrend, unit));
    }, wait);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [client, oldest, newestId]);

  return stretches;
}

/** The oldest exchange's time, and the newest one's id. The cache keeps the newest up to date. */
function useEnds(): { oldest: string | undefined; newestId: string | undefined } {
  const [{ data }, readAgain] = useQuery({ query: SpineEnds });
  const oldest = data?.oldest.nodes[0]?.createdAt;
  const newestId = data?.newest.nodes[0]?.id;
  // The first exchange of all has come, or the one at an end was deleted.
  const isHalf = (oldest === undefined) !== (newestId === undefined);
  useEffect(() => {
    if (isHalf) readAgain({ requestPolicy: 'network-only' });
  }, [isHalf, readAgain]);
  return { oldest, newestId };
}

function rangeSince(oldest: string): { from: string; to: string; unit: Unit; timeZone: string } {
  const now = new Date();
  const first = parseISO(oldest);
  const unit = differenceInCalendarDays(now, first) < MOST_DAYS ? 'DAY' : 'MONTH';
  const day = (date: Date) => formatISO(date, { representation: 'date' });
  return {
    from: day(unit === 'DAY' ? first : startOfMonth(first)),
    to: day(addDays(now, 1)),
    unit,
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
}
