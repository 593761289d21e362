import { useChat } from '../chat.tsx';
import { CopyButton } from '../message/copy-button.tsx';
import { EdgeButton } from '../message/edge-button.tsx';
import { Said } from '../message/said.tsx';
import { Time } from '../message/time.tsx';
import { whyUnsent } from '../message/words.ts';
import { putBack } from './draft.ts';
import type { Unsent as UnsentMessage } from './outbox.ts';

/** A message that is not stored yet, with its state in words. */
export function Unsent({ item }: { item: UnsentMessage }) {
  const { outbox } = useChat();
  const { id, message, state } = item;
  const isOnItsWay = state === 'sending' || state === 'stored';
  return (
    <article className="exchange unsent">
      <Said text={message}>
        <CopyButton label="Copy message" text={message}>
          Copy
        </CopyButton>
        <Time iso={item.createdAt} />
      </Said>
      <div className="reply">
        <p className={state === 'refused' ? 'ended failed' : 'ended'}>{whyUnsent(item)}</p>
        <div className={isOnItsWay ? 'edge' : 'edge lasting'}>
          {state === 'refused' && (
            <EdgeButton label="Send again" onClick={() => outbox.retry(id)} />
          )}
          {!isOnItsWay && (
            <>
              <EdgeButton
                label="Edit"
                onClick={() => {
                  outbox.discard(id);
                  putBack(message);
                }}
              />
              <EdgeButton label="Discard" onClick={() => outbox.discard(id)} />
            </>
          )}
        </div>
      </div>
    </article>
  );
}
