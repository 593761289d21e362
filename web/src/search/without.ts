/** Where a part stands in a query, in UTF-16 code units. */
interface Place {
  readonly start: number;
  readonly end: number;
}

/** A query without one of its parts. A blank stays in its place, so that what is beside it stays apart. */
export const without = (query: string, { start, end }: Place): string =>
  [query.slice(0, start).trimEnd(), query.slice(end).trimStart()].filter(Boolean).join(' ');
