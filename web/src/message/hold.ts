import { type PointerEvent, useEffect, useRef, useState } from 'react';

const LONG_MS = 450;

/** A long press on a touch screen: shows what a mouse shows by pointing, until one touches elsewhere. */
export function useHold() {
  const [isHeld, hold] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const element = useRef<Element>(undefined);
  const release = () => clearTimeout(timer.current);

  useEffect(() => {
    if (!isHeld) return;
    const touched = ({ target }: Event) => {
      if (!element.current?.contains(target as Node)) hold(false);
    };
    document.addEventListener('pointerdown', touched);
    return () => document.removeEventListener('pointerdown', touched);
  }, [isHeld]);
  useEffect(() => () => clearTimeout(timer.current), []);

  return {
    isHeld,
    onPointerDown({ pointerType, currentTarget }: PointerEvent) {
      if (pointerType !== 'touch') return;
      element.current = currentTarget;
      release();
      timer.current = setTimeout(() => hold(true), LONG_MS);
    },
    onPointerUp: release,
    onPointerMove: ({ movementX, movementY }: PointerEvent) => {
      if (Math.abs(movementX) + Math.abs(movementY) > 4) release();
    },
    // Scrolling has taken the touch over.
    onPointerCancel: release,
  };
}
