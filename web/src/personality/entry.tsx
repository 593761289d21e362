import './entry.css';
import { lazy, Suspense, useState } from 'react';

const Personality = lazy(async () => ({
  default: (await import('./personality.tsx')).Personality,
}));

/** The way to what goes along with every message, beside where one writes. */
export function PersonalityEntry() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className="personality-entry"
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
      >
        Personality
      </button>
      {open && (
        <Suspense>
          <Personality onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
