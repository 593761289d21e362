import { useRef, useState } from 'react';
import { useMutation } from 'urql';
import { graphql } from '../graphql/generated/index.ts';
import { announce } from './announcer.tsx';
import { EdgeButton } from './edge-button.tsx';
import { inWords } from './words.ts';

const DeleteMessage = graphql(/* GraphQL */ `
  mutation DeleteMessage($id: ID!) {
    deleteMessage(id: $id)
  }
`);

/** Deletes an exchange, and asks before, in place: there is no way back. */
export function DeleteButton({ id }: { id: string }) {
  const [isAsking, ask] = useState(false);
  const [{ fetching, error }, remove] = useMutation(DeleteMessage);
  const group = useRef<HTMLSpanElement>(null);

  async function onDelete(): Promise<void> {
    const { data } = await remove({ id });
    if (!data) return;
    announce('Deleted.');
    // The button that had the focus is gone.
    document.getElementById('composer')?.focus();
  }

  function keep(): void {
    ask(false);
    // Once React has put the button back.
    requestAnimationFrame(() => group.current?.querySelector('button')?.focus());
  }

  return (
    <span ref={group} className="delete" data-asking={isAsking}>
      {isAsking ? (
        // biome-ignore lint/a11y/noStaticElementInteractions: Escape is a short cut for the button
        <span
          className="delete-question"
          onKeyDown={({ key }) => {
            if (key === 'Escape') keep();
          }}
        >
          <span role="alert">
            {error ? inWords(error) : 'Delete this message and its reply for good?'}
          </span>
          <EdgeButton label="Delete for good" disabled={fetching} onClick={() => void onDelete()}>
            Delete
          </EdgeButton>
          <button
            type="button"
            className="edge-button"
            ref={(button) => button?.focus()}
            onClick={keep}
          >
            Keep
          </button>
        </span>
      ) : (
        <EdgeButton label="Delete" onClick={() => ask(true)} />
      )}
    </span>
  );
}
