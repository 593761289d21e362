import { Suspense, use } from 'react';
import { ChatProvider } from './chat.tsx';
import { Composer } from './composer/composer.tsx';
import { ConnectionNote } from './connection/connection.tsx';
import { History } from './history/history.tsx';
import { AccountsContext, useAccountState } from './session/accounts.ts';
import { Corner } from './session/corner.tsx';
import { Entrance } from './session/entrance.tsx';
import { Refused } from './session/refused.tsx';
import type { Accounts } from './session/session.ts';
import { Spine } from './spine/spine.tsx';

/** The whole page: who one is, then the one conversation. */
export function App({ opening }: { opening: Promise<Accounts> }) {
  return (
    <Suspense fallback={<main className="page" aria-busy="true" />}>
      <Conversation opening={opening} />
    </Suspense>
  );
}

function Conversation({ opening }: { opening: Promise<Accounts> }) {
  const accounts = use(opening);
  const state = useAccountState(accounts);
  return (
    <AccountsContext value={accounts}>
      {state.kind === 'open' ? (
        <ChatProvider session={state.session}>
          <main className="page">
            <h1 className="only-read-aloud">This conversation</h1>
            <Corner />
            {state.refused && <Refused />}
            <History />
            <Spine />
            <ConnectionNote />
            <Composer />
          </main>
        </ChatProvider>
      ) : (
        <main className="page" aria-busy={state.kind === 'restoring'}>
          <Entrance state={state} />
        </main>
      )}
    </AccountsContext>
  );
}
