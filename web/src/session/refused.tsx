import './refused.css';
import { useState } from 'react';
import { useAccounts } from './accounts.ts';
import type { Verdict } from './session.ts';

/** Said over the conversation while the server does not take the session's token. */
export function Refused() {
  const accounts = useAccounts();
  const [busy, setBusy] = useState(false);
  const [verdict, setVerdict] = useState<Verdict>();

  async function ask(question: () => Promise<Verdict>): Promise<void> {
    if (busy) return;
    setBusy(true);
    setVerdict(undefined);
    setVerdict(await question());
    setBusy(false);
  }

  if (accounts.kind === 'unset') return null;
  return (
    <section className="refused" aria-label="Not let in">
      <p role="alert">
        {accounts.kind === 'guests'
          ? 'The server does not accept this guest’s key any more: it ran out, or the server was set up anew. The key stays kept in this browser.'
          : 'The server does not accept your sign-in.'}
      </p>
      <p role="status">
        {busy && 'Asking …'}
        {verdict === 'refused' && 'It still does not.'}
        {verdict === 'away' && 'The server cannot be reached right now.'}
      </p>
      <div className="row">
        <button type="button" className="primary" onClick={() => ask(accounts.tryAgain)}>
          Try again
        </button>
        {accounts.kind === 'guests' ? (
          <button type="button" onClick={() => ask(accounts.beginAnew)}>
            Begin anew as another guest
          </button>
        ) : (
          <button type="button" onClick={() => accounts.signOut()}>
            Sign out
          </button>
        )}
      </div>
    </section>
  );
}
