import { hasWords } from './filter.ts';
import type { SearchView } from './search.ts';

interface Props {
  readonly query: string;
  readonly view: SearchView;
  /** Searches without what narrows it; undefined if nothing does. */
  readonly onWiden: (() => void) | undefined;
}

/** What the search is about, or what it found, in words. */
export function Message({ query, view, onWiden }: Props) {
  const isAsked = hasWords(query);
  const isEmpty = view.isCurrent && !view.failure && view.hits.length === 0;
  return (
    <div className="search-message" data-asked={isAsked}>
      <p role="status">{sentence(query, view)}</p>
      {view.isLoading && !view.isCurrent && (
        <p className="search-wait" aria-hidden="true">
          Searching …
        </p>
      )}
      {!isAsked && (
        <p>
          Everything that you wrote here and every reply can be found, by any part of a word.
          Several words have to occur together, in any order.
        </p>
      )}
      {isEmpty && <p>Fewer words, or a part of one, find more.</p>}
      {isEmpty && onWiden && (
        <button type="button" onClick={onWiden}>
          Search all days and moods
        </button>
      )}
    </div>
  );
}

function sentence(query: string, view: SearchView): string {
  const { failure, isCurrent, isApproximate, hits, hasMore } = view;
  if (!isCurrent || !hasWords(query) || (failure && hits.length === 0)) return '';
  if (hits.length === 0) return `Nothing was found for “${query.trim()}”.`;
  if (isApproximate) return `Nothing with “${query.trim()}” exactly. Near spellings:`;
  if (hasMore) return `The newest ${hits.length} passages, more below`;
  return hits.length === 1 ? '1 passage' : `${hits.length} passages`;
}
