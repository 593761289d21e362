import './mood-mark.css';
import type { Mood } from '../graphql/generated/graphql.ts';

const NAMES: Record<Mood, string> = {
  POSITIVE: 'positive mood',
  NEUTRAL: 'neutral mood',
  NEGATIVE: 'negative mood',
};
const DIRECTIONS: Record<Mood, number> = { POSITIVE: 1, NEUTRAL: 0, NEGATIVE: -1 };

interface Props {
  readonly mood: Mood;
  readonly moodScore: number;
}

/**
 * The mood of what the user wrote: a stroke that bends up or down, the more the stronger it is. A
 * neutral one shows only while its exchange is pointed at, and is not read aloud.
 */
export function MoodMark({ mood, moodScore }: Props) {
  const bend = DIRECTIONS[mood] * (2.5 + 3.5 * Math.abs(moodScore));
  const name = mood !== 'NEUTRAL' && { role: 'img', 'aria-label': NAMES[mood] };
  return (
    <svg className="mood-mark" data-mood={mood} viewBox="0 0 12 8" aria-hidden={!name} {...name}>
      <title>{NAMES[mood]}</title>
      <path d={`M1.5 ${4 - bend / 4}Q6 ${4 + (bend * 3) / 4} 10.5 ${4 - bend / 4}`} />
    </svg>
  );
}
