import './corner.css';
import { Suspense, useState } from 'react';
import { lazily } from '../failing/failing.tsx';
import { Search } from '../search/shortcut.tsx';

const Panel = lazily('This part', async () => (await import('./panel.tsx')).Panel);

/** The page's top corner: the way to what concerns the conversation as a whole. */
export function Corner() {
  const [open, setOpen] = useState(false);
  return (
    <nav className="corner" aria-label="This page">
      <Search />
      <button
        type="button"
        aria-haspopup="dialog"
        aria-label="This conversation"
        onClick={() => setOpen(true)}
      >
        <span className="in-words">This conversation</span>
        <span className="in-short">⋯</span>
      </button>
      {open && (
        <Suspense>
          <Panel onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </nav>
  );
}
