import type { Client } from 'urql';
import { graphql } from './generated/index.ts';

/** Everything that happens to the history; the cache knows what each of them changes. */
const ChatEvents = graphql(/* GraphQL */ `
  subscription ChatEvents($after: String) {
    chatEvents(after: $after) {
      __typename
      ... on MessageChanged {
        cursor
        message {
          id
          cursor
          createdAt
          status
          ...Exchange_ChatMessage
        }
      }
      ... on MessageDeleted {
        cursor
        id
      }
      ... on ReplyDelta {
        messageId
        offset
        text
      }
      ... on CaughtUp {
        cursor
      }
    }
  }
`);

/**
 * Keeps the cache up to date from the moment at which a page was read. `onMessage` is called with the id of
 * each message that came or changed, once the cache has it.
 */
export function followEvents(client: Client, after: string, onMessage: (id: string) => void) {
  let changes = 0;
  const { unsubscribe } = client.subscription(ChatEvents, { after }).subscribe(({ data }) => {
    const event = data?.chatEvents;
    if (event?.__typename !== 'ReplyDelta') changes += 1;
    if (event?.__typename === 'MessageChanged') onMessage(event.message.id);
  });
  return {
    /** How many changes have come; pieces of a reply do not count. */
    get changes(): number {
      return changes;
    },
    stop: unsubscribe,
  };
}
