import './exchange.css';
import { memo } from 'react';
import { type FragmentType, graphql, readFragment } from '../graphql/generated/index.ts';
import { MoodMark } from '../mood/mood-mark.tsx';
import { CopyButton } from './copy-button.tsx';
import { DeleteButton } from './delete-button.tsx';
import { linkTo } from './link.ts';
import { Personality } from './personality.tsx';
import { Reply } from './reply.tsx';
import { Said } from './said.tsx';
import { Time } from './time.tsx';
import { useHold } from './hold.ts';

export const ExchangeChatMessage = graphql(/* GraphQL */ `
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
export const Exchange = memo(function Exchange({ message }: Props) {
  const exchange = readFragment(ExchangeChatMessage, message);
  const { id, createdAt, mood, moodScore } = exchange;
  const { isHeld, ...hold } = useHold();
  return (
    <article className="exchange" data-held={isHeld} {...hold}>
      <Said text={exchange.message}>
        <CopyButton label="Copy message" text={exchange.message}>
          Copy
        </CopyButton>
        <CopyButton label="Copy link" text={linkTo(id)}>
          Link
        </CopyButton>
        <DeleteButton id={id} />
        <Time iso={createdAt} />
        {exchange.hasPersonalityContext && <Personality id={id} />}
        <MoodMark mood={mood} moodScore={moodScore} />
      </Said>
      <Reply {...exchange} />
    </article>
  );
});
