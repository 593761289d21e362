import './spine.css';
import { useSyncExternalStore } from 'react';
import { Sheet } from './sheet.tsx';
import { Slider } from './slider.tsx';
import { useTrend } from './trend.ts';

const narrow = window.matchMedia('(max-width: 767px)');

function followWidth(listener: () => void): () => void {
  narrow.addEventListener('change', listener);
  return () => narrow.removeEventListener('change', listener);
}

/** The spine itself: at the edge where there is room, else behind a button. */
export function Timeline() {
  const stretches = useTrend();
  const isNarrow = useSyncExternalStore(followWidth, () => narrow.matches);
  if (!stretches) return null;
  if (isNarrow) return <Sheet stretches={stretches} />;
  return (
    <nav className="spine" aria-label="Through the years">
      <Slider stretches={stretches} />
    </nav>
  );
}
