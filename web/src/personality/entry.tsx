import './entry.css';
import { Suspense, useState } from 'react';
import { lazily } from '../failing/failing.tsx';

const Personality = lazily(
  'The personality',
  async () => (await import('./personality.tsx')).Personality,
);

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
