import { useRef, useState } from 'react';
import { Slider } from './slider.tsx';
import type { Stretches } from './stretches.ts';

/** On a phone: the timeline on a sheet that comes up from below, with the conversation still in view. */
export function Sheet({ stretches }: { stretches: Stretches }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isOpen, setOpen] = useState(false);
  const close = () => dialog.current?.close();
  return (
    <>
      <button
        type="button"
        className="spine-opener"
        aria-haspopup="dialog"
        onClick={() => {
          setOpen(true);
          dialog.current?.showModal();
        }}
      >
        Timeline
      </button>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog by itself */}
      <dialog
        ref={dialog}
        className="spine-sheet"
        aria-label="Through the years"
        onClose={() => setOpen(false)}
        onClick={({ target }) => {
          if (target === dialog.current) close();
        }}
      >
        {isOpen && (
          <div className="spine-sheet-page">
            <Slider stretches={stretches} />
            <button type="button" className="spine-closer" onClick={close}>
              Close
            </button>
          </div>
        )}
      </dialog>
    </>
  );
}
