import type { Claims } from '../db/database.ts';
import type { Exchange, MessageStore } from '../db/messages.ts';
import type { SearchPlace, SearchQuery } from '../db/search.ts';
import { badInput } from '../errors.ts';
import { fold } from './fold.ts';
import { type ChatFilter, checkFilter, checkSize, type Page } from './history.ts';
import { checkText } from './input.ts';
import { withNear } from './near.ts';
import {
  earlier,
  later,
  type Narrowed,
  narrowedBy,
  parseQuery,
  type SearchTerm,
} from './search-query.ts';
import { type Highlight, highlightsIn, type Snippet, snippetOf, type Text } from './snippet.ts';

export type { Highlight, SearchTerm, Snippet };

export interface SearchRequest {
  readonly query: string;
  readonly filter?: ChatFilter | null | undefined;
  readonly first?: number | null | undefined;
  readonly after?: SearchPlace | undefined;
  readonly orderBy?: SearchQuery['order'] | null | undefined;
}

export interface SearchHit {
  readonly row: Exchange;
  /** Where it stands among the hits by relevance. */
  readonly rank: number;
  readonly approximate: boolean;
  readonly highlights: () => Highlight[];
  readonly snippet: () => Snippet;
}

export interface SearchPage extends Page {
  /** As the rows, one by one. */
  readonly hits: readonly SearchHit[];
  readonly understood: readonly SearchTerm[];
}

const MAX_QUERY = 200;

/** The exchanges that fit all of the query, in the language of search-query.ts. */
export async function searchPage(
  messages: MessageStore,
  viewer: Claims,
  { query, filter, first, after, orderBy }: SearchRequest,
): Promise<SearchPage> {
  const understood = parseQuery(checkText('query', query, MAX_QUERY));
  if (understood.every(isNothing)) throw badInput('query', 'There is no word to search for.');
  const narrowed = narrowedBy(understood);
  const words = wordsOf(understood, false);
  const needles = words.map(fold);
  const { seq, hits, hasMore } = await messages.search(viewer, {
    size: checkSize('first', first ?? 20),
    order: orderBy ?? 'NEWEST',
    place: after,
    needles: words,
    excluded: wordsOf(understood, true),
    within: narrowed.within,
    ...both(checkFilter(filter), narrowed),
  });
  return {
    seq,
    rows: hits.map(({ row }) => row),
    hits: hits.map((hit) => {
      const texts = textsOf(hit.row, narrowed);
      const marked = () => (hit.approximate ? withNear(texts, needles) : needles);
      return {
        ...hit,
        highlights: () => highlightsIn(texts, marked()),
        snippet: () => snippetOf(texts, marked()),
      };
    }),
    understood,
    hasNext: hasMore,
    hasPrevious: after !== undefined,
  };
}

/** What words and phrases are looked for in. */
function textsOf({ message, response }: Exchange, { within }: Narrowed): [Text, ...Text[]] {
  const [ofMessage, ofResponse]: [Text, Text] = [
    { field: 'MESSAGE', text: message },
    { field: 'RESPONSE', text: response },
  ];
  if (within === 'BOTH') return [ofMessage, ofResponse];
  return within === 'MESSAGE' ? [ofMessage] : [ofResponse];
}

/** The words and phrases, each once however it is written, without those that are nothing when compared. */
function wordsOf(terms: readonly SearchTerm[], excluded: boolean): string[] {
  const words = new Map<string, string>();
  for (const term of terms) {
    if (isText(term) && !isNothing(term) && term.excluded === excluded) {
      words.set(fold(term.value), term.value);
    }
  }
  return [...words.values()];
}

const isText = ({ kind }: SearchTerm): boolean => kind === 'WORD' || kind === 'PHRASE';

const isNothing = (term: SearchTerm): boolean => isText(term) && fold(term.value).trim() === '';

type Bounds = ReturnType<typeof checkFilter>;

/** What fits the filter and the operators of the query. */
function both(filter: Bounds, query: Narrowed): Bounds {
  const { moods = query.moods, hasPersonalityContext = query.hasPersonalityContext } = filter;
  const areOpposites =
    query.hasPersonalityContext !== undefined &&
    query.hasPersonalityContext !== hasPersonalityContext;
  return {
    from: later(filter.from, query.from),
    to: earlier(filter.to, query.to),
    moods: areOpposites ? [] : moods?.filter((mood) => query.moods?.includes(mood) ?? true),
    hasPersonalityContext,
  };
}
