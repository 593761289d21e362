import {
  createContext,
  type ReactNode,
  use,
  useEffect,
  useState,
  useSyncExternalStore,
} from 'react';
import { Provider } from 'urql';
import { createGraphql, type Connection, type Graphql } from './graphql/client.ts';
import { followEvents } from './graphql/events.ts';
import { createOutbox, type Outbox } from './composer/outbox.ts';
import { createHistoryWindow, type HistoryView, type HistoryWindow } from './history/window.ts';
import type { Session } from './session/session.ts';

/** What one signed-in person's page is made of. */
export interface Chat {
  readonly session: Session;
  readonly graphql: Graphql;
  readonly history: HistoryWindow;
  readonly outbox: Outbox;
}

const ChatContext = createContext<Chat | undefined>(undefined);

export function useChat(): Chat {
  const chat = use(ChatContext);
  if (!chat) throw new Error('useChat needs a ChatProvider around it.');
  return chat;
}

export function useHistory(): HistoryView {
  const { history } = useChat();
  return useSyncExternalStore(history.subscribe, () => history.view);
}

/** Whether the conversation has come up: what is not needed to read it waits until then. */
export function useCanBeRead(): boolean {
  const { history } = useChat();
  const [can, setCan] = useState(false);
  useEffect(() => {
    const look = () => setCan((is) => is || !history.view.loading);
    look();
    return history.subscribe(look);
  }, [history]);
  return can;
}

export function useConnection(): Connection {
  const { connection } = useChat().graphql;
  return useSyncExternalStore(connection.subscribe, connection.get);
}

/** Opens a session's conversation: reads its newest page, then follows what happens after it. */
function open(session: Session): Chat & { close(): void } {
  const graphql = createGraphql(session);
  const { client } = graphql;
  let events: ReturnType<typeof followEvents> | undefined;
  const history = createHistoryWindow(client, () => events?.changes ?? 0);
  const outbox = createOutbox({ client, userId: session.userId, connection: graphql.connection });
  // Events begin where the first page that came was read: nothing can happen in between.
  const stopWaiting = history.subscribe(() => {
    const { eventsCursor } = history.view;
    if (eventsCursor === undefined || events) return;
    events = followEvents(client, eventsCursor, outbox.arrived);
  });
  const stopResets = graphql.onReset(() => window.location.reload());
  return {
    session,
    graphql,
    history,
    outbox,
    close() {
      stopWaiting();
      stopResets();
      events?.stop();
      history.close();
      outbox.close();
      graphql.close();
    },
  };
}

export function ChatProvider({ session, children }: { session: Session; children: ReactNode }) {
  const [chat, setChat] = useState<Chat>();
  useEffect(() => {
    const opened = open(session);
    setChat(opened);
    return () => opened.close();
  }, [session]);
  if (!chat || chat.session !== session) return null;
  return (
    <ChatContext value={chat}>
      <Provider value={chat.graphql.client}>{children}</Provider>
    </ChatContext>
  );
}
