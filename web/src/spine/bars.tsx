import { memo, useMemo } from 'react';
import { type Stretches, ticksOf } from './stretches.ts';

/** The drawing is so wide, in units of its own; a part is one unit high. */
const WIDTH = 100;
/** A part in which anything was said is at least so wide. */
const LEAST = 6;
/** A year's name needs so much room, in px. */
const NAME_HEIGHT = 20;
/** Ticks closer than this would be a smear, in px. */
const TICK_DISTANCE = 5;

const MOODS = ['positive', 'neutral', 'negative'] as const;

/** All bars of one mood as one path. A bar's length grows with the root of what was said: few show too. */
function pathOf({ parts, most }: Stretches, mood: number): string {
  return parts
    .map((part, index) => {
      if (part[MOODS[mood] ?? 'neutral'] === 0) return '';
      const length = LEAST + (WIDTH - LEAST) * Math.sqrt(Math.min(1, part.messageCount / most));
      const edge = (moods: number) => {
        const count = MOODS.slice(0, moods).reduce((sum, name) => sum + part[name], 0);
        return (WIDTH - (length * count) / part.messageCount).toFixed(1);
      };
      return `M${edge(mood)} ${index + 0.1}H${edge(mood + 1)}v.8H${edge(mood)}z`;
    })
    .join('');
}

interface Props {
  readonly stretches: Stretches;
  readonly partHeight: number;
}

/** The histogram, its ticks and the names of the years: four paths, however long the history is. */
export const Bars = memo(function Bars({ stretches, partHeight }: Props) {
  const { parts } = stretches;
  const paths = useMemo(() => MOODS.map((_, mood) => pathOf(stretches, mood)), [stretches]);
  const ticks = ticksOf(stretches, NAME_HEIGHT / partHeight);
  const lines = ticks
    .filter(({ name }) => name !== undefined || partHeight >= TICK_DISTANCE)
    .map(({ index, name }) => `M${name === undefined ? WIDTH - LEAST : 0} ${index}H${WIDTH}`);
  return (
    <div className="spine-bars" aria-hidden="true">
      <svg viewBox={`0 0 ${WIDTH} ${parts.length}`} preserveAspectRatio="none">
        <title>Messages over time</title>
        <path className="spine-ticks" d={lines.join('')} />
        {MOODS.map((mood, index) => (
          <path key={mood} data-mood={mood} d={paths[index]} />
        ))}
      </svg>
      {ticks.map(
        ({ index, name }) =>
          name !== undefined && (
            <span
              key={index}
              className="spine-year"
              style={{ insetBlockStart: `${(index / parts.length) * 100}%` }}
            >
              {name}
            </span>
          ),
      )}
    </div>
  );
});
