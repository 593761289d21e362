import { hasWords } from './filter.ts';
import type { SearchView } from './search.ts';

interface Props {
  readonly query: string;
  readonly view: SearchView;
  /** Searches without what narrows it; undefined if nothing does. */
  readonly onWiden: (() => void) | undefined;
  onRetry(): void;
}

/** How the search stands, in words. */
export function Message({ query, view, onWiden, onRetry }: Props) {
  const isEmpty = view.isCurrent && !view.failure && view.hits.length === 0;
  return (
    <div className="search-message">
      <p role="status">{sentence(query, view)}</p>
      {!hasWords(query) && (
        <p>
          Everything that you wrote here and every reply can be found, by any part of a word.
          Several words have to occur together, in any order; “between quotes” they stand as
          written.
        </p>
      )}
      {isEmpty && <p>Fewer words, or a part of one, find more.</p>}
      {isEmpty && onWiden && (
        <button type="button" onClick={onWiden}>
          Search all days and moods
        </button>
      )}
      {view.failure && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

function sentence(query: string, { failure, isCurrent, hits, hasMore }: SearchView): string {
  if (failure) return failure;
  if (!isCurrent || !hasWords(query)) return '';
  if (hits.length === 0) return `Nothing was found for “${query.trim()}”.`;
  if (hasMore) return `The newest ${hits.length} passages, more below`;
  return hits.length === 1 ? '1 passage' : `${hits.length} passages`;
}
