import { graphql, readFragment } from '../graphql/generated/index.ts';
import type { Chips_SearchTermFragment } from '../graphql/generated/graphql.ts';
import type { UnderstoodTerm } from './search.ts';

const ChipsSearchTerm = graphql(/* GraphQL */ `
  fragment Chips_SearchTerm on SearchTerm {
    kind
    value
    excluded
  }
`);

interface Props {
  readonly terms: readonly UnderstoodTerm[];
  /** Whether they are those of what stands in the field. */
  readonly isCurrent: boolean;
  onRemove(term: UnderstoodTerm): void;
}

/** What was understood of the query, each part to be taken out; nothing for plain words. */
export function Chips({ terms, isCurrent, onRemove }: Props) {
  const all = terms.map((term) => ({ term, ...readFragment(ChipsSearchTerm, term) }));
  if (all.every(isPlain)) return null;
  return (
    <ul className="chips understood" aria-label="Understood as">
      {all.map(({ term, ...part }) => (
        <li key={term.start} className="chip" data-set={part.kind !== 'WORD' || part.excluded}>
          <span dir="auto">{wordsFor(part)}</span>
          <button
            type="button"
            aria-label={`Take out: ${wordsFor(part)}`}
            aria-disabled={!isCurrent}
            onClick={() => isCurrent && onRemove(term)}
          >
            ×
          </button>
        </li>
      ))}
    </ul>
  );
}

/** A colon may have been meant as an operator. */
const isPlain = ({ kind, value, excluded }: Chips_SearchTermFragment): boolean =>
  kind === 'WORD' && !excluded && !value.includes(':');

function wordsFor({ kind, value, excluded }: Chips_SearchTermFragment): string {
  const not = excluded ? 'without ' : '';
  switch (kind) {
    case 'WORD':
      return not + value;
    case 'PHRASE':
      return `${not}“${value}”`;
    case 'FROM':
      return value === 'me' ? 'in your words' : 'in replies';
    case 'BEFORE':
      return `before ${dateOf(value)}`;
    case 'AFTER':
      return `after ${dateOf(value)}`;
    case 'ON':
      return `${value.length > 7 ? 'on' : 'in'} ${dateOf(value)}`;
    case 'MOOD':
      return excluded ? `not ${value}` : value;
    case 'HAS':
      return `${excluded ? 'without' : 'with'} a ${value}`;
  }
}

/** A day, a month or a year, which are UTC's. */
function dateOf(value: string): string {
  return new Intl.DateTimeFormat(undefined, {
    timeZone: 'UTC',
    year: 'numeric',
    ...(value.length > 4 && { month: 'long' }),
    ...(value.length > 7 && { day: 'numeric' }),
  }).format(new Date(value));
}
