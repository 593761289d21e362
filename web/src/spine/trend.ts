import {
  addDays,
  differenceInCalendarDays,
  formatISO,
  max,
  parseISO,
  startOfMonth,
} from 'date-fns';
import { useEffect, useRef, useState } from 'react';
import { useClient, useQuery } from 'urql';
import { useConnection } from '../chat.tsx';
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
  const connection = useConnection();
  const { oldest, newestId } = useEnds();
  const [stretches, setStretches] = useState<Stretches>();
  const read = useRef(NOTHING_READ);

  // biome-ignore lint/correctness/useExhaustiveDependencies: what failed is read when one is back
  useEffect(() => {
    if (!oldest) {
      read.current = NOTHING_READ;
      setStretches(undefined);
      return;
    }
    const isSameLife = read.current.oldest === oldest;
    if (isSameLife && read.current.newestId === newestId) return;
    const wait = isSameLife ? read.current.at + READ_AGAIN_AFTER - Date.now() : 0;
    const timer = setTimeout(async () => {
      const mine = { oldest, newestId, at: Date.now() };
      read.current = mine;
      const { unit, ...range } = rangeSince(oldest);
      const { data } = await client
        .query(SpineTrend, { ...range, bucket: unit }, { requestPolicy: 'network-only' })
        .toPromise();
      if (mine !== read.current) return;
      if (data) setStretches(stretchesOf(data.moodTrend, unit));
      else read.current = NOTHING_READ;
    }, wait);
    return () => clearTimeout(timer);
  }, [client, oldest, newestId, connection]);

  return stretches;
}

const NOTHING_READ: { oldest?: string; newestId?: string | undefined; at: number } = { at: 0 };

/** The oldest exchange's time, and the newest one's id. The cache keeps the newest up to date. */
function useEnds(): { oldest: string | undefined; newestId: string | undefined } {
  const connection = useConnection();
  const [{ data, error }, readAgain] = useQuery({ query: SpineEnds });
  const oldest = data?.oldest.nodes[0]?.createdAt;
  const newestId = data?.newest.nodes[0]?.id;
  // The first exchange of all has come, or the one at an end was deleted.
  const isHalf = (oldest === undefined) !== (newestId === undefined);
  useEffect(() => {
    if (isHalf) readAgain({ requestPolicy: 'network-only' });
  }, [isHalf, readAgain]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each time that one is back
  useEffect(() => {
    if (error && connection === 'connected') readAgain({ requestPolicy: 'network-only' });
  }, [connection]);
  return { oldest, newestId };
}

function rangeSince(oldest: string): { from: string; to: string; unit: Unit; timeZone: string } {
  const first = parseISO(oldest);
  // A device's clock may be behind the server's.
  const now = max([new Date(), first]);
  const unit = differenceInCalendarDays(now, first) < MOST_DAYS ? 'DAY' : 'MONTH';
  const day = (date: Date) => formatISO(date, { representation: 'date' });
  return {
    from: day(unit === 'DAY' ? first : startOfMonth(first)),
    to: day(addDays(now, 1)),
    unit,
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
}
