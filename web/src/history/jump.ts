import { useEffect, useState } from 'react';
import { useChat } from '../chat.tsx';
import { graphql } from '../graphql/generated/index.ts';

/** More than the id, which the cache has of every message that is asked for. */
const MessageThere = graphql(/* GraphQL */ `
  query MessageThere($id: ID!) {
    message(id: $id) {
      id
      createdAt
    }
  }
`);

/** So long a message is lit that one has jumped to, in ms. */
const LIT_MS = 2_500;

/** A message that one has jumped to, to light up where it stands: another object with each jump. */
export interface Lit {
  readonly id: string;
}

export interface Jump {
  readonly lit: Lit | undefined;
  /** There is no such message. */
  readonly missing: boolean;
}

/** At once, and again two frames later: a scroll that was under way takes its last step after ours (Chromium). */
function scrollTo(entry: Element): void {
  const toCenter = () => entry.scrollIntoView({ block: 'center' });
  toCenter();
  requestAnimationFrame(() => requestAnimationFrame(toCenter));
}

/** Goes where the URL points: to a message of its own, or, at first, to the newest end. */
export function useJump(messageId: string | undefined): Jump {
  const {
    history,
    graphql: { client },
  } = useChat();
  const [lit, setLit] = useState<Lit>();
  const [missing, setMissing] = useState(false);

  useEffect(() => {
    let left = false;
    async function go(id: string): Promise<void> {
      const entry = document.querySelector(`[data-id="${id}"]`);
      if (entry) {
        scrollTo(entry);
      } else {
        // Of a hit of the search it is known; an old link may lead to nothing, which is no error.
        const { data, error } = await client.query(MessageThere, { id }).toPromise();
        if (left) return;
        const isGone = error ? error.graphQLErrors.length > 0 : !data?.message;
        const isFound = !isGone && (await history.toMessage(id));
        if (left) return;
        if (!isFound) {
          setMissing(true);
          if (history.view.nodes.length === 0) await history.toNewest();
          return;
        }
      }
      if (!left) setLit({ id });
    }
    setMissing(false);
    if (messageId) void go(messageId);
    else if (history.view.epoch === 0) void history.toNewest();
    return () => {
      left = true;
    };
  }, [messageId, history, client]);

  useEffect(() => {
    if (!lit) return;
    const timer = setTimeout(() => setLit(undefined), LIT_MS);
    return () => clearTimeout(timer);
  }, [lit]);

  return { lit, missing };
}
