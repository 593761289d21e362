import './panel.css';
import { useState } from 'react';
import { useChat } from '../chat.tsx';
import { Dialog } from '../dialog/dialog.tsx';
import { useAccounts } from './accounts.ts';
import { Invitation } from './invitation.tsx';
import { readTheme, setTheme, type Theme } from './theme.ts';

/** Who one is here, how to go on elsewhere, and how the page looks. */
export function Panel({ onClose }: { onClose: () => void }) {
  const accounts = useAccounts();
  const { session } = useChat();
  return (
    <Dialog
      title="This conversation"
      description={
        session.email
          ? `You are signed in as ${session.email}.`
          : 'You are a guest: this browser holds the only key to this conversation.'
      }
      onClose={onClose}
    >
      {accounts.kind === 'guests' && <Invitation link={accounts.invitation} />}
      <ThemeChoice />
      {accounts.kind === 'email' && <SignOut signOut={accounts.signOut} />}
    </Dialog>
  );
}

const THEMES: readonly [Theme, string][] = [
  ['auto', 'As the system has it'],
  ['paper', 'Paper'],
  ['night', 'Night'],
];

function ThemeChoice() {
  const [theme, choose] = useState(readTheme);
  return (
    <fieldset className="themes">
      <legend>Look</legend>
      {THEMES.map(([value, name]) => (
        <label key={value}>
          <input
            type="radio"
            name="theme"
            checked={theme === value}
            onChange={() => {
              setTheme(value);
              choose(value);
            }}
          />
          {name}
        </label>
      ))}
    </fieldset>
  );
}

function SignOut({ signOut }: { signOut: () => Promise<void> }) {
  const [failed, setFailed] = useState(false);
  return (
    <section>
      <h3>Leave this device</h3>
      <p>Your conversation stays kept. Sign in with the same address to go on.</p>
      <button type="button" onClick={() => signOut().catch(() => setFailed(true))}>
        Sign out
      </button>
      <p className="fault" role="alert">
        {failed && 'The sign-in service does not answer. Try again in a moment.'}
      </p>
    </section>
  );
}
