/** What is searched for: as chatkeep is asked, and the same for SQL that knows no grammar. */
export interface Shape {
  readonly name: string;
  /** In chatkeep's grammar. */
  readonly query: string;
  /** Each has to occur. */
  readonly words: readonly string[];
  /** Must not occur. */
  readonly without?: string;
  /** Only a month of three years. */
  readonly month?: boolean;
  readonly mood?: 'NEGATIVE';
  /** Nothing matches but what is spelled nearly alike. */
  readonly near?: boolean;
  /** The best first, and not the newest; SQL that knows no ranks answers by time. */
  readonly byRelevance?: boolean;
  /** What p95 may be at most, in ms. */
  readonly within: number;
}

const plain = (name: string, word: string, within = 20): Shape => ({
  name,
  query: word,
  words: [word],
  within,
});

export const SHAPES: readonly Shape[] = [
  plain('common word', 'government'),
  plain('rare word', 'spermaceti'),
  plain('absent word', 'zyzzyva'),
  {
    ...plain('common and rare word', 'government'),
    query: 'government spermaceti',
    words: ['government', 'spermaceti'],
  },
  plain('two letters, common', 'th'),
  plain('two letters, hardly there', 'xq', 50),
  { ...plain('phrase', 'the white whale'), query: '"the white whale"' },
  { ...plain('exclusion', 'whale'), query: 'whale -ship', without: 'ship' },
  plain('two characters of Japanese', '天気'),
  plain('word without its accent', 'cafe'),
  { ...plain('near spelling', 'spermacetti'), near: true },
  { ...plain('common word, one month', 'government'), month: true },
  { ...plain('rare word, one mood', 'spermaceti'), mood: 'NEGATIVE' },
  { ...plain('common word, by relevance', 'government'), byRelevance: true },
  { ...plain('rare word, by relevance', 'spermaceti'), byRelevance: true },
];
