import { useId, useState } from 'react';
import { useQuery } from 'urql';
import { graphql } from '../graphql/generated/index.ts';

const SentAlong = graphql(/* GraphQL */ `
  query SentAlong($id: ID!) {
    message(id: $id) {
      id
      personalityContext
    }
  }
`);

/** The mark of a message that carried data about the person, with that data on demand. */
export function Personality({ id }: { id: string }) {
  const [isOpen, setOpen] = useState(false);
  const [{ data, fetching, error }, again] = useQuery({
    query: SentAlong,
    variables: { id },
    pause: !isOpen,
  });
  const contentId = useId();
  return (
    <span className="personality">
      <button
        type="button"
        className="edge-button"
        aria-expanded={isOpen}
        aria-controls={contentId}
        onClick={() => setOpen(!isOpen)}
      >
        With personality
      </button>
      <span id={contentId} className="personality-content" hidden={!isOpen}>
        {fetching && 'Reading what went along …'}
        {error && (
          <button type="button" className="plain-button" onClick={() => again()}>
            It cannot be read right now: try again
          </button>
        )}
        {data && (
          <code dir="auto">
            {JSON.stringify(data.message?.personalityContext ?? null, null, 2)}
          </code>
        )}
      </span>
    </span>
  );
}
