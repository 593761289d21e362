import { memo, useMemo } from 'react';
import { useSearchHits } from '../search/hits.ts';
import { positionOf, type Stretches } from './stretches.ts';

/** Where the hits of the search stand, in parts from the beginning. */
export function useHits(stretches: Stretches): readonly number[] {
  const found = useSearchHits();
  return useMemo(
    () => found.map(({ createdAt }) => positionOf(stretches, createdAt)),
    [found, stretches],
  );
}

interface Props {
  readonly hits: readonly number[];
  readonly parts: number;
}

/** Hits as dots beside the bars. Lines without length, since their round ends are not stretched. */
export const Hits = memo(function Hits({ hits, parts }: Props) {
  if (hits.length === 0) return null;
  return (
    <svg
      className="spine-hits"
      viewBox={`0 0 1 ${parts}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={hits.map((hit) => `M0.5 ${hit.toFixed(3)}h0`).join('')} />
    </svg>
  );
});
