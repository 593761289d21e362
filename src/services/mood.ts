import vader from 'vader-sentiment';

export interface MoodOfText {
  /** VADER's compound score, -1 (negative) to 1 (positive). */
  readonly score: number;
  readonly mood: 'POSITIVE' | 'NEUTRAL' | 'NEGATIVE';
}

/** The published thresholds: Hutto & Gilbert, VADER (ICWSM 2014), "about the scoring". */
const POSITIVE = 0.05;
const NEGATIVE = -0.05;

/** The mood is read from so many characters, the first ones. */
const ANALYSED_LENGTH = 4_000;

// The lexicon's longest word has 20 characters. Longer ones are shortened, since the library's regular
// expression for words in capitals is cubic: 4,000 times A and one a take it 17 s, 32,000 take hours.
const WORD_LENGTH = 32;
const LONG_WORDS = new RegExp(`\\S{${WORD_LENGTH + 1},}`, 'g');

/**
 * The mood of a text by the VADER lexicon, which knows English; anything else is neutral. Only the
 * first 4,000 characters count: the library is for short texts and slow with many different words.
 */
export function moodOf(text: string): MoodOfText {
  const analysed = text
    .slice(0, ANALYSED_LENGTH)
    .replace(LONG_WORDS, (word) => word.slice(0, WORD_LENGTH));
  const { compound } = vader.SentimentIntensityAnalyzer.polarity_scores(analysed);
  const score = Number.isFinite(compound) ? Math.max(-1, Math.min(1, compound)) : 0;
  if (score >= POSITIVE) return { score, mood: 'POSITIVE' };
  if (score <= NEGATIVE) return { score, mood: 'NEGATIVE' };
  return { score, mood: 'NEUTRAL' };
}
