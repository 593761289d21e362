import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Any, type Client, failureOf, send, signIn } from './kit/client.ts';
import { seedAs } from './kit/seed.ts';
import { startServer, type TestServer } from './kit/server.ts';

const TREND = `query Trend($from: Date!, $to: Date!, $bucket: TrendBucket, $timeZone: String) {
  moodTrend(from: $from, to: $to, bucket: $bucket, timeZone: $timeZone) {
    start messageCount moodScore positive neutral negative
  }
}`;

let server: TestServer;
let admin: postgres.Sql;
let me: Client;

beforeAll(async () => {
  server = await startServer();
  admin = postgres(server.database.ownerUrl, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await admin.end();
  await server.stop();
});
beforeEach(async () => {
  me = await signIn(server);
});

const wroteAt = (...instants: string[]) =>
  seedAs(
    admin,
    me,
    instants.map((created_at) => ({ created_at })),
  );

/** Short: `2026-05-01: 3`. */
async function counts(variables: object): Promise<string[]> {
  const { moodTrend } = await me.data<Any>(TREND, variables);
  return moodTrend.map(({ start, messageCount }: Any) => `${start}: ${messageCount}`);
}

describe('moodTrend', () => {
  it('gives mean and counts of each bucket, and null where there is none', async () => {
    const created_at = '2026-05-01T12:00:00Z';
    await seedAs(admin, me, [
      { created_at, mood: 'POSITIVE', mood_score: 0.75 },
      { created_at, mood: 'POSITIVE', mood_score: 0.5 },
      { created_at, mood: 'NEUTRAL', mood_score: 0 },
      { created_at, mood: 'NEGATIVE', mood_score: -0.25 },
      { created_at: '2026-05-03T00:00:00Z', mood: 'NEGATIVE', mood_score: -1 },
    ]);
    const { moodTrend } = await me.data<Any>(TREND, { from: '2026-05-01', to: '2026-05-04' });
    const none = { messageCount: 0, moodScore: null, positive: 0, neutral: 0, negative: 0 };
    expect(moodTrend).toEqual([
      {
        start: '2026-05-01',
        messageCount: 4,
        moodScore: 0.25,
        positive: 2,
        neutral: 1,
        negative: 1,
      },
      { ...none, start: '2026-05-02' },
      { ...none, start: '2026-05-03', messageCount: 1, moodScore: -1, negative: 1 },
    ]);
  });

  it('counts from from on and before to, in the days of the time zone', async () => {
    await wroteAt(
      '2026-05-01T21:59:59.999999Z',
      '2026-05-01T22:00:00Z',
      '2026-05-02T21:59:59.999999Z',
      '2026-05-02T22:00:00Z',
    );
    const range = { from: '2026-05-02', to: '2026-05-03' };
    expect(await counts({ ...range, timeZone: 'Europe/Berlin' })).toEqual(['2026-05-02: 2']);
    expect(await counts({ ...range, timeZone: 'europe/berlin' })).toEqual(['2026-05-02: 2']);
    expect(await counts(range)).toEqual(['2026-05-02: 2']);
    expect(await counts({ ...range, timeZone: 'Asia/Tokyo', bucket: null })).toEqual([
      '2026-05-02: 2',
    ]);
    expect(await counts({ from: '2026-05-01', to: '2026-05-04', timeZone: null })).toEqual([
      '2026-05-01: 2',
      '2026-05-02: 2',
      '2026-05-03: 0',
    ]);
    expect(await counts({ from: '2026-05-02', to: '2026-05-02' })).toEqual([]);
  });

  it('begins weeks on Monday and months on the first, with the bucket that holds from', async () => {
    await wroteAt(
      '2026-04-27T12:00:00Z',
      '2026-04-29T12:00:00Z',
      '2026-05-03T12:00:00Z',
      '2026-05-04T12:00:00Z',
      '2026-05-06T12:00:00Z',
      '2026-06-30T12:00:00Z',
    );
    const range = { from: '2026-04-29', to: '2026-05-06' };
    expect(await counts({ ...range, bucket: 'WEEK' })).toEqual(['2026-04-27: 2', '2026-05-04: 1']);
    expect(await counts({ ...range, bucket: 'MONTH' })).toEqual(['2026-04-01: 1', '2026-05-01: 2']);
    const half = { from: '2026-01-31', to: '2026-07-01', bucket: 'MONTH' };
    expect(await counts(half)).toEqual([
      '2026-01-01: 0',
      '2026-02-01: 0',
      '2026-03-01: 0',
      '2026-04-01: 2',
      '2026-05-01: 3',
      '2026-06-01: 1',
    ]);
    expect(await counts({ ...half, to: '2026-03-01' })).toHaveLength(2);
  });

  it.each([
    // 02:00 CET becomes 03:00 CEST: a day of 23 hours.
    ['Europe/Berlin', '2026-03-29', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'],
    // 03:00 CEST becomes 02:00 CET: a day of 25 hours.
    ['Europe/Berlin', '2026-10-25', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
    // Half an hour off the others, and 24 hours.
    ['America/St_Johns', '2026-07-01', '2026-07-01T02:30:00Z', '2026-07-02T02:30:00Z'],
    ['America/St_Johns', '2026-11-01', '2026-11-01T02:30:00Z', '2026-11-02T03:30:00Z'],
    // Midnight comes twice: 01:00 becomes 00:00.
    ['Atlantic/Azores', '2026-10-25', '2026-10-25T00:00:00Z', '2026-10-26T01:00:00Z'],
    // There is no midnight: 00:00 becomes 01:00.
    ['Africa/Cairo', '2026-04-24', '2026-04-23T22:00:00Z', '2026-04-24T21:00:00Z'],
  ])('knows how long a day is in %s on %s', async (timeZone, day, first, end) => {
    const justBefore = (instant: string) => new Date(Date.parse(instant) - 1).toISOString();
    await wroteAt(justBefore(first), first, justBefore(end), end);
    const from = justBefore(`${day}T00:00:00Z`).slice(0, 10);
    const to = new Date(Date.parse(day) + 2 * 86_400_000).toISOString().slice(0, 10);
    const next = new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10);
    expect(await counts({ from, to, timeZone })).toEqual([`${from}: 1`, `${day}: 2`, `${next}: 1`]);
    expect(await counts({ from: day, to: next, timeZone })).toEqual([`${day}: 2`]);
  });

  it('tells two days apart that come in turns', async () => {
    // At 00:01 of the 7th it became 23:01 of the 6th.
    await wroteAt('2010-11-07T02:29:30Z', '2010-11-07T02:30:30Z', '2010-11-07T02:31:30Z');
    await wroteAt('2010-11-07T03:29:30Z', '2010-11-07T03:30:30Z');
    const timeZone = 'America/St_Johns';
    expect(await counts({ from: '2010-11-06', to: '2010-11-08', timeZone })).toEqual([
      '2010-11-06: 3',
      '2010-11-07: 2',
    ]);
    expect(await counts({ from: '2010-11-07', to: '2010-11-08', timeZone })).toEqual([
      '2010-11-07: 2',
    ]);
  });

  it('counts what was sent and not what was deleted, of nobody else', async () => {
    const { id, createdAt } = await send(me, 'What a wonderful day, I love it!');
    await send(me, 'I am so sad and lonely.');
    const from = createdAt.slice(0, 10);
    const to = new Date(Date.parse(from) + 2 * 86_400_000).toISOString().slice(0, 10);
    const sum = async (client: Client) => {
      const { moodTrend } = await client.data<Any>(TREND, { from, to, bucket: 'MONTH' });
      return moodTrend.reduce((total: number, point: Any) => total + point.messageCount, 0);
    };
    expect(await sum(me)).toBe(2);
    expect(await sum(await signIn(server))).toBe(0);
    await me.data('mutation ($id: ID!) { deleteMessage(id: $id) }', { id });
    expect(await sum(me)).toBe(1);
  });
});

describe('bad input to moodTrend', () => {
  const ok = { from: '2026-01-01', to: '2026-02-01' };

  it.each([
    [{ ...ok, timeZone: 'Europe/Atlantis' }, 'BAD_USER_INPUT timeZone'],
    [{ ...ok, timeZone: '' }, 'BAD_USER_INPUT timeZone'],
    [{ ...ok, timeZone: '+02:00' }, 'BAD_USER_INPUT timeZone'],
    [{ ...ok, timeZone: "UTC'" }, 'BAD_USER_INPUT timeZone'],
    [{ ...ok, to: '2025-12-31' }, 'BAD_USER_INPUT to'],
    [{ ...ok, from: '0000-01-01', to: '0000-02-01' }, 'BAD_USER_INPUT from'],
    [{ from: '2010-01-01', to: '2020-12-15' }, 'BAD_USER_INPUT to'],
    [{ from: '0001-01-01', to: '9999-12-31', bucket: 'MONTH' }, 'BAD_USER_INPUT to'],
    [{ ...ok, from: '2026-02-30' }, 'BAD_USER_INPUT'],
    [{ ...ok, from: '2026-01-01T00:00:00Z' }, 'BAD_USER_INPUT'],
    [{ ...ok, bucket: 'YEAR' }, 'BAD_USER_INPUT'],
  ])('%j gets %s', async (variables, failure) => {
    expect(failureOf(await me.ask(TREND, variables))).toBe(failure);
  });

  it('draws the line behind 4,000 points', async () => {
    expect(await counts({ from: '2010-01-01', to: '2020-12-14' })).toHaveLength(4000);
    const years = { from: '0001-01-01', to: '0334-05-01', bucket: 'MONTH' };
    expect(await counts(years)).toHaveLength(4000);
    expect(failureOf(await me.ask(TREND, { ...years, to: '0334-05-02' }))).toBe(
      'BAD_USER_INPUT to',
    );
    const weeks = { from: '2000-01-02', to: '2076-08-24', bucket: 'WEEK' };
    expect(await counts(weeks)).toHaveLength(4000);
    expect(failureOf(await me.ask(TREND, { ...weeks, to: '2076-08-25' }))).toBe(
      'BAD_USER_INPUT to',
    );
  });
});
