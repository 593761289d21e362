import { useMutation } from 'urql';
import { graphql } from '../graphql/generated/index.ts';
import type { Exchange_ChatMessageFragment } from '../graphql/generated/graphql.ts';
import { CopyButton } from './copy-button.tsx';
import { EdgeButton } from './edge-button.tsx';
import { Formatted } from './formatted.tsx';
import { StopReply } from './stop.ts';
import { inWords, whatBecame } from './words.ts';

const RetryReply = graphql(/* GraphQL */ `
  mutation RetryReply($id: ID!) {
    retryReply(id: $id) {
      id
    }
  }
`);

type Props = Pick<Exchange_ChatMessageFragment, 'id' | 'response' | 'status' | 'failure'>;

/** What came back, as far as it is, and how it ended. */
export function Reply({ id, response, status, failure }: Props) {
  const isRunning = status === 'PENDING' || status === 'STREAMING';
  const canRetry = status === 'FAILED' || status === 'STOPPED';
  const [stopping, stop] = useMutation(StopReply);
  const [retrying, retry] = useMutation(RetryReply);
  const end = whatBecame(status, failure);
  const trouble = isRunning ? stopping.error : canRetry ? retrying.error : undefined;
  return (
    <div className="reply" aria-busy={isRunning}>
      <span className="only-read-aloud">Reply:</span>
      {response ? (
        <Formatted text={response} isGrowing={isRunning} />
      ) : (
        isRunning && <p className="thinking">Thinking</p>
      )}
      {end && <p className={status === 'FAILED' ? 'ended failed' : 'ended'}>{end}</p>}
      {trouble && (
        <p className="ended failed" role="alert">
          {inWords(trouble)}
        </p>
      )}
      <div className={canRetry ? 'edge lasting' : 'edge'}>
        {canRetry && (
          <EdgeButton
            label="Retry"
            disabled={retrying.fetching}
            onClick={() => void retry({ id })}
          />
        )}
        {isRunning && (
          <EdgeButton
            label="Stop reply"
            disabled={stopping.fetching}
            onClick={() => void stop({ id })}
          >
            Stop
          </EdgeButton>
        )}
        {response && (
          <CopyButton label="Copy reply" text={response}>
            Copy
          </CopyButton>
        )}
      </div>
    </div>
  );
}
