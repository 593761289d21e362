import {
  type KeyboardEvent,
  type PointerEvent,
  type RefObject,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import { Bars } from './bars.tsx';
import { Hits, useHits } from './hits.tsx';
import { describe, nameOf, nearest, type Stretches } from './stretches.ts';
import { useTravel } from './travel.ts';

/** How many parts PageUp and PageDown pass. */
const LEAP = { DAY: 30, MONTH: 12 };

/** How far keys go. Earlier is up, as on the page. */
const STEPS: Readonly<Record<string, (leap: number) => number>> = {
  ArrowUp: () => -1,
  ArrowDown: () => 1,
  PageUp: (leap) => -leap,
  PageDown: (leap) => leap,
  Home: () => Number.NEGATIVE_INFINITY,
  End: () => Number.POSITIVE_INFINITY,
};

/** The whole life of the history as a slider, from its first month down to now. */
export function Slider({ stretches }: { stretches: Stretches }) {
  const { parts, unit } = stretches;
  const slider = useRef<HTMLDivElement>(null);
  const track = useRef<HTMLDivElement>(null);
  const height = useHeight(track);
  const hits = useHits(stretches);
  const [aim, setAim] = useState<number>();
  const [isHeld, setHeld] = useState(false);
  const { position, index, rest, arrive } = useTravel(stretches, slider);

  /** Aims at the part beneath the pointer, or the next one in which anything was said. */
  function take({ clientY }: PointerEvent): number {
    const { top, height } = track.current?.getBoundingClientRect() ?? { top: 0, height: 1 };
    const at = Math.floor(((clientY - top) / height) * parts.length);
    const found = nearest(stretches, Math.max(0, at), 1);
    setAim(found);
    return found;
  }

  function release(): void {
    arrive();
    setHeld(false);
  }

  function onKeyDown(event: KeyboardEvent): void {
    const steps = STEPS[event.key]?.(LEAP[unit]);
    if (steps === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const at = Math.min(parts.length, Math.max(0, index + steps));
    rest(nearest(stretches, at, steps < 0 ? -1 : 1));
    if (!event.repeat) arrive();
  }

  return (
    <div
      ref={slider}
      className="spine-slider"
      data-held={isHeld}
      role="slider"
      tabIndex={0}
      aria-label="Timeline"
      aria-orientation="vertical"
      aria-valuemin={0}
      aria-valuemax={parts.length}
      aria-valuenow={index}
      aria-valuetext={describe(stretches, index, hits)}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        setHeld(true);
        rest(take(event));
      }}
      onPointerMove={(event) => {
        const at = take(event);
        if (isHeld) rest(at);
      }}
      onPointerUp={release}
      onPointerCancel={release}
      onPointerLeave={() => setAim(undefined)}
    >
      <div ref={track} className="spine-track" style={{ maxBlockSize: `${parts.length * 1.5}rem` }}>
        {height > 0 && <Bars stretches={stretches} partHeight={height / parts.length} />}
        <Hits hits={hits} parts={parts.length} />
        <Mark className="spine-here" at={position / parts.length}>
          {aim === undefined && nameOf(stretches, index)}
        </Mark>
        {aim !== undefined && (
          <Mark className="spine-aim" at={aim / parts.length}>
            {describe(stretches, aim, hits)}
          </Mark>
        )}
      </div>
      <span className="spine-now" aria-hidden="true">
        Now
      </span>
    </div>
  );
}

interface MarkProps {
  readonly className: string;
  /** From 0, the beginning, to 1. */
  readonly at: number;
  readonly children: string | false;
}

/** A line across the track with a label beside it. As high as the track, so that it moves by transform alone. */
function Mark({ className, at, children }: MarkProps) {
  return (
    <div className={`spine-mark ${className}`} style={{ transform: `translateY(${at * 100}%)` }}>
      {children && <span className="spine-label">{children}</span>}
    </div>
  );
}

function useHeight(element: RefObject<HTMLElement | null>): number {
  const [height, setHeight] = useState(0);
  useLayoutEffect(() => {
    if (!element.current) return;
    const observer = new ResizeObserver(([entry]) => setHeight(entry?.contentRect.height ?? 0));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return height;
}
