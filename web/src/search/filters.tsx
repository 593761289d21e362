import './filters.css';
import type { Ref } from 'react';
import type { Mood } from '../graphql/generated/graphql.ts';
import type { Narrowing } from '../location.ts';
import { describeDays, MOODS, spans, type Understood } from './filter.ts';

const NAMES: Record<Mood, string> = {
  POSITIVE: 'Positive',
  NEUTRAL: 'Neutral',
  NEGATIVE: 'Negative',
};

interface Props {
  readonly narrowing: Narrowing;
  readonly understood: Understood;
  readonly areDaysOpen: boolean;
  readonly daysButton: Ref<HTMLButtonElement>;
  onToggleDays(): void;
  onChange(narrowing: Narrowing): void;
}

/** Chips that say what narrows the search, and change it. */
export function Filters({
  narrowing,
  understood,
  areDaysOpen,
  daysButton,
  onToggleDays,
  onChange,
}: Props) {
  const { moods } = understood;
  const hasDays = understood.from !== undefined || understood.to !== undefined;
  return (
    <fieldset className="filters">
      <legend className="only-read-aloud">Narrow the search</legend>
      <div className="chips">
        <span className="chip" data-set={hasDays}>
          <button
            type="button"
            ref={daysButton}
            aria-expanded={areDaysOpen}
            aria-controls="search-days"
            onClick={onToggleDays}
          >
            <span className="only-read-aloud">Days: </span>
            {describeDays(understood)}
          </button>
          {hasDays && (
            <button
              type="button"
              aria-label="Any time"
              onClick={() => onChange({ ...narrowing, from: undefined, to: undefined })}
            >
              ×
            </button>
          )}
        </span>
        {MOODS.map((mood) => {
          const isSet = moods.includes(mood);
          const next = isSet ? moods.filter((other) => other !== mood) : [...moods, mood];
          return (
            <span key={mood} className="chip" data-set={isSet}>
              <button
                type="button"
                aria-pressed={isSet}
                onClick={() => onChange({ ...narrowing, moods: next })}
              >
                <span className="chip-mood" data-mood={mood} aria-hidden="true" />
                {NAMES[mood]}
              </button>
            </span>
          );
        })}
      </div>
      <Days isOpen={areDaysOpen} narrowing={narrowing} onChange={onChange} />
    </fieldset>
  );
}

interface DaysProps {
  readonly isOpen: boolean;
  readonly narrowing: Narrowing;
  onChange(narrowing: Narrowing): void;
}

function Days({ isOpen, narrowing, onChange }: DaysProps) {
  return (
    <div id="search-days" className="days" hidden={!isOpen}>
      <label>
        From{' '}
        <input
          type="date"
          value={narrowing.from ?? ''}
          onChange={({ target }) => onChange({ ...narrowing, from: target.value })}
        />
      </label>
      <label>
        To{' '}
        <input
          type="date"
          value={narrowing.to ?? ''}
          onChange={({ target }) => onChange({ ...narrowing, to: target.value })}
        />
      </label>
      {spans(new Date()).map(({ name, from, to }) => (
        <span key={name} className="chip">
          <button type="button" onClick={() => onChange({ ...narrowing, from, to })}>
            {name}
          </button>
        </span>
      ))}
    </div>
  );
}
