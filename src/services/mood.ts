import vader from 'vader-sentiment';

export interface MoodOfText {
  /** VADER's compound score, -1 (negative) to 1 (positive). */
  readonly score: number;
  readonly mood: 'POSITIVE' | 'NEUTRAL' | 'NEGATIVE';
}

/** The published thresholds: Hutto & Gilbert, VADER (ICWSM 2014), "about the scoring". */
const POSITIVE = 0.05;
const NEGATIVE = -0.05;

/** The mood of a text by the VADER lexicon, which knows English; anything else is neutral. */
export function moodOf(text: string): MoodOfText {
  const { compound } = vader.SentimentIntensityAnalyzer.polarity_scores(text);
  const score = Number.isFinite(compound) ? Math.max(-1, Math.min(1, compound)) : 0;
  if (score >= POSITIVE) return { score, mood: 'POSITIVE' };
  if (score <= NEGATIVE) return { score, mood: 'NEGATIVE' };
  return { score, mood: 'NEUTRAL' };
}
