import { type RefObject, useEffect, useRef, useState } from 'react';
import { useChat } from '../chat.tsx';
import { usePlaceInTime } from '../history/place.ts';
import { go } from '../location.ts';
import { instantOf, positionOf, type Stretches } from './stretches.ts';

/** Who drags or holds a key goes there when resting so long, in ms: not to every month on the way. */
const REST_MS = 120;

export interface Travel {
  /** Where one is, or is about to be, in parts from the beginning. */
  readonly position: number;
  /** The part in which that is. */
  readonly index: number;
  /** Says at once that one is there, and goes there unless one has moved on by then. */
  rest(index: number): void;
  /** Waits no longer. */
  arrive(): void;
}

/** Moves through the history. `slider` is what does so; whoever scrolls or types elsewhere is there. */
export function useTravel(stretches: Stretches, slider: RefObject<HTMLElement | null>): Travel {
  const { history } = useChat();
  const place = usePlaceInTime();
  // A short last month never comes to the top of the page: what was chosen counts until one moves on.
  const [chosen, setChosen] = useState<number>();
  const pending = useRef<{ index: number; timer: ReturnType<typeof setTimeout> }>(undefined);
  useEffect(() => () => clearTimeout(pending.current?.timer), []);
  useForget(chosen !== undefined, slider, () => setChosen(undefined));

  const end = stretches.parts.length;
  const read = place === undefined ? end : positionOf(stretches, place);
  const position = chosen === undefined || Math.floor(read) === chosen ? read : chosen;

  function arrive(): void {
    if (!pending.current) return;
    const { index, timer } = pending.current;
    clearTimeout(timer);
    pending.current = undefined;
    go('/');
    if (index < end) void history.toInstant(instantOf(stretches, index));
    else void history.toNewest();
  }

  return {
    position,
    index: Math.floor(position),
    rest(index) {
      if (index === pending.current?.index) return;
      clearTimeout(pending.current?.timer);
      setChosen(index);
      pending.current = { index, timer: setTimeout(arrive, REST_MS) };
    },
    arrive,
  };
}

const MOVES = ['wheel', 'touchstart', 'pointerdown', 'keydown'] as const;

/** Calls back when the reader does anything outside of the slider, as far as that matters. */
function useForget(matters: boolean, slider: RefObject<HTMLElement | null>, forget: () => void) {
  useEffect(() => {
    if (!matters) return;
    const moved = ({ target }: Event) => {
      if (!slider.current?.contains(target as Node)) forget();
    };
    for (const move of MOVES)
      window.addEventListener(move, moved, { capture: true, passive: true });
    return () => {
      for (const move of MOVES) window.removeEventListener(move, moved, { capture: true });
    };
  });
}
