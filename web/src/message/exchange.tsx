import { type FragmentType, graphql, readFragment } from '../graphql/generated/index.ts';

const ExchangeChatMessage = graphql(/* GraphQL */ `
  fragment Exchange_ChatMessage on ChatMessage {
    id
    message
    response
    status
    failure
    hasPersonalityContext
    mood
    moodScore
    createdAt
  }
`);

interface Props {
  readonly message: FragmentType<typeof ExchangeChatMessage>;
}

/** One exchange: what the user wrote, and the reply as far as it is. */
export function Exchange({ message }: Props) {
  const exchange = readFragment(ExchangeChatMessage, message);
  return (
    <article className="exchange">
      <p className="said">{exchange.message}</p>
      <div className="reply">{exchange.response}</div>
    </article>
  );
}
