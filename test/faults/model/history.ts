/*
 * What the API has to answer, written a second time, naively: lists that are filtered and cut. It imports
 * nothing of the product's. What it leaves out is left out of the words that commands use too: letters
 * whose lower case has another length or two forms (İ, ς), terms that overlap themselves, time zones that
 * change their clocks.
 */

export type Mood = 'POSITIVE' | 'NEUTRAL' | 'NEGATIVE';
export type Context = Readonly<Record<string, unknown>> | null;

export interface Message {
  readonly id: string;
  readonly message: string;
  readonly mood: Mood;
  readonly moodScore: number;
  readonly personalityContext: Context;
  /** Whether nothing was said of a context, and the personality went along. */
  readonly byDefault: boolean;
  /** When it was stored, to the microsecond, as text that sorts. */
  at: string;
  /** RUNNING is PENDING or STREAMING: how far a reply is at a moment is up to the machine. */
  status: 'COMPLETE' | 'STOPPED' | 'FAILED' | 'RUNNING';
  /** While RUNNING: all that the model has said up to now; STOPPED shows a beginning of it. */
  response: string;
  /** Whether there is a failure to tell a person. */
  failed: boolean;
  /** What only the server knows: learned with the first answer, the same in every later one. */
  failure?: string | undefined;
  updatedAt?: string | undefined;
  cursor?: string | undefined;
  /** Whether `response` is only the longest that it can be: the next answer tells how much it is. */
  isOpenEnded?: boolean | undefined;
}

export interface History {
  /** In any order. */
  messages: Message[];
  /** As they were last: their ids are not free, and their cursors are places still. */
  readonly deleted: Message[];
  personality: Context;
  /** The eventsCursor since the last change; undefined until it was seen. */
  moment: string | undefined;
}

export interface Filter {
  readonly mood?: readonly Mood[] | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly hasPersonalityContext?: boolean | undefined;
}

export interface PageRequest {
  readonly first?: number | undefined;
  readonly after?: Message | undefined;
  readonly offset?: number | undefined;
  readonly last?: number | undefined;
  readonly before?: Message | undefined;
  readonly filter?: Filter | undefined;
}

export interface Page {
  readonly messages: readonly Message[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
}

/** A word, or a phrase between quotes. */
export interface Term {
  readonly text: string;
  readonly isQuoted: boolean;
}

/** Milliseconds to microseconds: `2026-05-01T12:00:00.123Z` to `2026-05-01T12:00:00.123000`. */
export const toMicroseconds = (instant: string) => `${instant.slice(0, -1)}000`;

const key = ({ at, id }: Message) => `${at} ${id}`;
const isOlder = (one: Message, other: Message) => key(one) < key(other);

export function newestFirst(messages: readonly Message[]): Message[] {
  return messages.toSorted((one, other) => (isOlder(one, other) ? 1 : -1));
}

function fits(message: Message, { mood, from, to, hasPersonalityContext }: Filter): boolean {
  if (mood && !mood.includes(message.mood)) return false;
  if (from && message.at < toMicroseconds(from)) return false;
  if (to && message.at >= toMicroseconds(to)) return false;
  if (hasPersonalityContext === undefined) return true;
  return hasPersonalityContext === (message.personalityContext !== null);
}

function cut(list: readonly Message[], request: PageRequest): Page {
  const { first = 50, after, offset = 0, last, before } = request;
  if (last !== undefined) {
    const newer = list.filter((message) => !before || isOlder(before, message));
    return {
      messages: newer.slice(-last),
      hasNextPage: before !== undefined,
      hasPreviousPage: newer.length > last,
    };
  }
  const older = list.filter((message) => !after || isOlder(message, after)).slice(offset);
  return {
    messages: older.slice(0, first),
    hasNextPage: older.length > first,
    hasPreviousPage: after !== undefined || offset > 0,
  };
}

export function page({ messages }: History, request: PageRequest): Page {
  const { filter = {} } = request;
  return cut(newestFirst(messages.filter((message) => fits(message, filter))), request);
}

const holds = (text: string, term: string) => text.toLowerCase().includes(term.toLowerCase());

export function search({ messages }: History, terms: readonly Term[], request: PageRequest): Page {
  const { filter = {} } = request;
  const hits = messages.filter(
    (message) =>
      fits(message, filter) &&
      terms.every(({ text }) => holds(message.message, text) || holds(message.response, text)),
  );
  return cut(newestFirst(hits), request);
}

/** Which code units of a text the terms cover: `..###.#`. */
export function marked(text: string, terms: readonly Term[]): string {
  const marks = Array.from(text, (character) => '.'.repeat(character.length))
    .join('')
    .split('');
  for (const { text: term } of terms) {
    for (let at = 0; at < text.length; at += 1) {
      if (text.slice(at, at + term.length).toLowerCase() !== term.toLowerCase()) continue;
      marks.fill('#', at, at + term.length);
    }
  }
  return marks.join('');
}

export interface Trend {
  readonly from: string;
  readonly to: string;
  readonly bucket: 'DAY' | 'WEEK' | 'MONTH';
  /** East of Greenwich. */
  readonly hours: number;
}

const DAY_MS = 86_400_000;
const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

function bucketOf(day: string, bucket: Trend['bucket']): string {
  if (bucket === 'MONTH') return `${day.slice(0, 7)}-01`;
  if (bucket === 'DAY') return day;
  let monday = Date.parse(day);
  while (new Date(monday).getUTCDay() !== 1) monday -= DAY_MS;
  return dayOf(monday);
}

export function trend({ messages }: History, { from, to, bucket, hours }: Trend) {
  const starts = new Set<string>();
  for (let day = from; day < to; day = dayOf(Date.parse(day) + DAY_MS)) {
    starts.add(bucketOf(day, bucket));
  }
  return [...starts].map((start) => {
    const those = messages.filter(({ at }) => {
      const day = dayOf(Date.parse(`${at.slice(0, 23)}Z`) + hours * 3_600_000);
      return day >= from && day < to && bucketOf(day, bucket) === start;
    });
    const count = (mood: Mood) => those.filter((message) => message.mood === mood).length;
    const sum = those.reduce((total, { moodScore }) => total + moodScore, 0);
    return {
      start,
      messageCount: those.length,
      moodScore: those.length > 0 ? sum / those.length : null,
      positive: count('POSITIVE'),
      neutral: count('NEUTRAL'),
      negative: count('NEGATIVE'),
    };
  });
}

/** The message under an id that is taken, and whether it is the one that is sent again. */
export function isSame(
  stored: Message,
  message: string,
  personalityContext: Context | undefined,
): boolean {
  if (stored.message !== message) return false;
  const none = stored.personalityContext === null;
  // Nothing said, and none: where nothing went along, both say the same.
  if (personalityContext === undefined) return stored.byDefault || none;
  if (stored.byDefault && !none) return false;
  return JSON.stringify(personalityContext) === JSON.stringify(stored.personalityContext);
}
