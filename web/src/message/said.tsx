import type { ReactNode } from 'react';

interface Props {
  readonly text: string;
  /** What can be done with it, and marks. */
  readonly children: ReactNode;
}

/** What the user wrote, as it was written. */
export function Said({ text, children }: Props) {
  return (
    <div className="said">
      <span className="only-read-aloud">You wrote:</span>
      <p className="said-text" dir="auto">
        {text}
      </p>
      <div className="edge">{children}</div>
    </div>
  );
}
