import { ChatProvider } from './chat.tsx';
import { Composer } from './composer/composer.tsx';
import { ConnectionNote } from './connection/connection.tsx';
import { History } from './history/history.tsx';
import { useSession } from './session/use-session.ts';
import type { Settings } from './settings.ts';

/** The whole page: who one is, then the one conversation. */
export function App({ settings }: { settings: Settings }) {
  const state = useSession(settings);
  if (state.kind === 'restoring') return <main className="page" aria-busy="true" />;
  if (state.kind === 'none') return <main className="page">{state.signIn}</main>;
  return (
    <ChatProvider session={state.session}>
      <main className="page">
        <History />
        <ConnectionNote />
        <Composer />
      </main>
    </ChatProvider>
  );
}
