import type { ReactNode } from 'react';

interface Props {
  /** Its name; what it shows too, unless there are shorter words for it. */
  readonly label: string;
  readonly onClick: () => void;
  readonly disabled?: boolean;
  readonly children?: ReactNode;
}

/** Something to do with a message, at its edge. */
export function EdgeButton({ label, onClick, disabled = false, children = label }: Props) {
  return (
    <button
      type="button"
      className="edge-button"
      aria-label={label}
      disabled={disabled}
      onClick={onClick}
    >
      {children}
    </button>
  );
}
