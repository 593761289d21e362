import { addDays, addMonths, parseISO } from 'date-fns';
import type { SpineTrendQuery } from '../graphql/generated/graphql.ts';

export type Unit = 'DAY' | 'MONTH';
export type Stretch = SpineTrendQuery['moodTrend'][number];

/** The life of a history in parts of equal rank, oldest first; `parts.length` stands for its end, now. */
export interface Stretches {
  readonly unit: Unit;
  readonly parts: readonly Stretch[];
  /** When each part begins in the reader's time zone, and at last when the last one is over, in ms. */
  readonly starts: readonly number[];
  /** As many messages as fill a bar: in one part of twenty there may be more, so that one busy month leaves the others visible. */
  readonly most: number;
}

/** Fewer messages than this are no more than a screenful. */
const FEWEST = 12;

/** Undefined where there is nothing to find one's way through. */
export function stretchesOf(parts: readonly Stretch[], unit: Unit): Stretches | undefined {
  const counts = parts.map(({ messageCount }) => messageCount).filter((count) => count > 0);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const last = parts.at(-1);
  if (!last || counts.length < 2 || total < FEWEST) return undefined;
  const end = (unit === 'DAY' ? addDays : addMonths)(parseISO(last.start), 1);
  return {
    unit,
    parts,
    starts: [...parts.map(({ start }) => parseISO(start)), end].map(Number),
    most: counts.toSorted((a, b) => a - b)[Math.ceil(counts.length * 0.95) - 1] ?? 1,
  };
}

/** Where an instant stands, in parts from the first one's beginning. */
export function positionOf({ starts, parts }: Stretches, iso: string): number {
  const at = Number(parseISO(iso));
  const index = starts.findLastIndex((start) => start <= at);
  const start = starts[index];
  const next = starts[index + 1];
  if (start === undefined) return 0;
  if (next === undefined) return parts.length;
  return index + (at - start) / (next - start);
}

/** The first instant of a part. */
export const instantOf = ({ starts }: Stretches, index: number): string =>
  new Date(starts[index] ?? 0).toISOString();

/** The nearest part, from `index` on towards `step`, in which something was said; else the end there. */
export function nearest({ parts }: Stretches, index: number, step: 1 | -1): number {
  for (let at = index; at >= 0 && at < parts.length; at += step) {
    if ((parts[at]?.messageCount ?? 0) > 0) return at;
  }
  return step > 0 ? parts.length : 0;
}

const MONTH = new Intl.DateTimeFormat(undefined, { month: 'long', year: 'numeric' });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' });
const YEAR = new Intl.DateTimeFormat(undefined, { year: 'numeric' });
const SHORT_MONTH = new Intl.DateTimeFormat(undefined, { month: 'short' });
const COUNT = new Intl.NumberFormat();

/** A part as a person says it: “March 2024”. */
export function nameOf({ unit, starts, parts }: Stretches, index: number): string {
  if (index >= parts.length) return 'Now';
  return (unit === 'DAY' ? DAY : MONTH).format(starts[index]);
}

/** The same, with how much was said in it, and how much of it was found. */
export function describe(stretches: Stretches, index: number, hits: readonly number[]): string {
  const name = nameOf(stretches, index);
  const count = stretches.parts[index]?.messageCount;
  if (count === undefined) return name;
  const found = hits.filter((hit) => Math.floor(hit) === index).length;
  const said = `${COUNT.format(count)} ${count === 1 ? 'message' : 'messages'}`;
  return found === 0 ? `${name}, ${said}` : `${name}, ${said}, ${COUNT.format(found)} found`;
}

export interface Tick {
  readonly index: number;
  /** Where a year begins (a month, where parts are days). */
  readonly name?: string;
}

/** A tick for each part. Those at which a larger unit begins have its name, unless it would be too near to one before. */
export function ticksOf({ unit, starts, parts }: Stretches, fewestBetween: number): Tick[] {
  const format = unit === 'DAY' ? SHORT_MONTH : YEAR;
  const isBeginning = ({ start }: Stretch) => start.endsWith(unit === 'DAY' ? '-01' : '-01-01');
  const first = parts.findIndex(isBeginning);
  let last = Number.NEGATIVE_INFINITY;
  return parts.map((part, index) => {
    // The first year is rarely whole: it gives way to the next one's name.
    const isNamed = index === 0 ? first < 1 || first >= fewestBetween : isBeginning(part);
    if (!isNamed || index - last < fewestBetween) return { index };
    last = index;
    return { index, name: format.format(starts[index]) };
  });
}
