import './entrance.css';
import { type ReactNode, Suspense } from 'react';
import { lazily } from '../failing/failing.tsx';
import { useAccounts } from './accounts.ts';
import type { AccountState, Glimpse } from './session.ts';

const SignIn = lazily('The sign-in', async () => (await import('./sign-in.tsx')).SignIn);

/** What the page says while it does not know who one is. */
export function Entrance({ state }: { state: Exclude<AccountState, { kind: 'open' }> }) {
  const accounts = useAccounts();
  switch (state.kind) {
    case 'restoring':
      return null;
    case 'away':
      return (
        <Notice title="One moment">
          <p role="status">
            The server cannot be reached right now. This page tries again by itself, and goes on as
            soon as it answers.
          </p>
        </Notice>
      );
    case 'unset':
      return (
        <Notice title="Nobody can sign in yet">
          <p>
            Whoever runs this server has to set <code>{state.variable}</code>, so that this page
            knows where to sign in.
          </p>
        </Notice>
      );
    case 'sign-in':
      return (
        accounts.kind === 'email' && (
          <Suspense>
            <SignIn accounts={accounts} problem={state.problem} />
          </Suspense>
        )
      );
    case 'bad-link':
      return (
        accounts.kind === 'guests' && (
          <Notice title="This link leads nowhere">
            <p>No conversation of this server opens with it. Perhaps a part of it is missing.</p>
            <button type="button" className="primary" onClick={() => accounts.choose('here')}>
              Go on without it
            </button>
          </Notice>
        )
      );
    case 'choosing':
      return (
        accounts.kind === 'guests' && (
          <Notice title="Which conversation?">
            <p>
              The link opens another conversation, and this device has one already. Only one of them
              can be open here. The key to the other one stays kept in this browser.
            </p>
            <Choice title="Of the link" glimpse={state.there}>
              <button type="button" className="primary" onClick={() => accounts.choose('there')}>
                Open the link’s conversation
              </button>
            </Choice>
            <Choice title="Of this device" glimpse={state.here}>
              <button type="button" onClick={() => accounts.choose('here')}>
                Stay with this one
              </button>
            </Choice>
          </Notice>
        )
      );
  }
}

function Notice({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="entrance" aria-labelledby="entrance-title">
      <h1 id="entrance-title">{title}</h1>
      {children}
    </section>
  );
}

function Choice({
  title,
  glimpse: { latest },
  children,
}: {
  title: string;
  glimpse: Glimpse;
  children: ReactNode;
}) {
  return (
    <article className="choice">
      <h2>{title}</h2>
      {latest ? (
        <>
          <blockquote dir="auto">{latest.message}</blockquote>
          <p>
            The last thing written there,{' '}
            <time dateTime={latest.createdAt}>
              {new Intl.DateTimeFormat(undefined, {
                dateStyle: 'long',
                timeStyle: 'short',
              }).format(new Date(latest.createdAt))}
            </time>
          </p>
        </>
      ) : (
        <p>Nothing was written there yet.</p>
      )}
      {children}
    </article>
  );
}
