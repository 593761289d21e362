import { useEffect, useState } from 'react';
import { announce } from './announcer.tsx';
import { copy } from './copy.ts';
import { EdgeButton } from './edge-button.tsx';

interface Props {
  readonly label: string;
  readonly text: string;
  readonly children: string;
}

/** So long it says what became of it. */
const SAID_MS = 2_000;

/** Puts a text onto the clipboard, and says so where one looks. */
export function CopyButton({ label, text, children }: Props) {
  const [outcome, setOutcome] = useState<string>();
  useEffect(() => {
    if (!outcome) return;
    const timer = setTimeout(() => setOutcome(undefined), SAID_MS);
    return () => clearTimeout(timer);
  }, [outcome]);

  async function onClick(): Promise<void> {
    const words = (await copy(text)) ? 'Copied' : 'Cannot copy here';
    setOutcome(words);
    announce(`${words}.`);
  }

  return (
    <EdgeButton label={outcome ?? label} onClick={() => void onClick()}>
      {outcome ?? children}
    </EdgeButton>
  );
}
