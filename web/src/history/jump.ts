import { useEffect, useState } from 'react';
import { useChat } from '../chat.tsx';
import { graphql } from '../graphql/generated/index.ts';

const MessagePlace = graphql(/* GraphQL */ `
  query MessagePlace($id: ID!) {
    message(id: $id) {
      id
      createdAt
    }
  }
`);

/** So long a message is lit that one has jumped to, in ms. */
const LIT_MS = 2_500;

export interface Jump {
  /** The message to light up where it stands. */
  readonly litId: string | undefined;
  /** There is no such message. */
  readonly missing: boolean;
}

/** Goes where the URL points: to a message of its own, or, at first, to the newest end. */
export function useJump(messageId: string | undefined): Jump {
  const {
    history,
    graphql: { client },
  } = useChat();
  const [litId, setLitId] = useState<string>();
  const [missing, setMissing] = useState(false);

  useEffect(() => {
    let left = false;
    async function go(id: string): Promise<void> {
      const entry = document.querySelector(`[data-id="${id}"]`);
      if (entry) {
        entry.scrollIntoView({ block: 'center' });
      } else {
        const { data } = await client.query(MessagePlace, { id }).toPromise();
        if (left) return;
        if (!data?.message) {
          setMissing(true);
          if (history.view.nodes.length === 0) await history.toNewest();
          return;
        }
        await history.toInstant(data.message.createdAt);
      }
      if (!left) setLitId(id);
    }
    setMissing(false);
    if (messageId) void go(messageId);
    else if (history.view.epoch === 0) void history.toNewest();
    return () => {
      left = true;
    };
  }, [messageId, history, client]);

  useEffect(() => {
    if (!litId) return;
    const timer = setTimeout(() => setLitId(undefined), LIT_MS);
    return () => clearTimeout(timer);
  }, [litId]);

  return { litId, missing };
}
