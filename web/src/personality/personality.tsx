import './personality.css';
import { type FormEvent, useState } from 'react';
import { useMutation, useQuery } from 'urql';
import { Dialog } from '../dialog/dialog.tsx';
import { graphql } from '../graphql/generated/index.ts';
import { excessOf, type PersonalContext, parseContext, withText } from './context.ts';
import { Questions } from './questions.tsx';

const PersonalityQuery = graphql(/* GraphQL */ `
  query Personality {
    viewer {
      id
      personality
    }
  }
`);

const SetPersonality = graphql(/* GraphQL */ `
  mutation SetPersonality($personality: JSON) {
    setPersonality(personality: $personality) {
      id
      personality
    }
  }
`);

/** What goes along with every message: to see, and to set. */
export function Personality({ onClose }: { onClose: () => void }) {
  // Another device may have set it since.
  const [{ data, error }, read] = useQuery({
    query: PersonalityQuery,
    requestPolicy: 'network-only',
  });
  return (
    <Dialog
      title="Personality"
      description="What stands here goes along with every message you send, so that replies suit you."
      onClose={onClose}
    >
      {data ? (
        <Editor kept={(data.viewer.personality ?? {}) as PersonalContext} />
      ) : error ? (
        <div className="row">
          <p role="alert">It cannot be read at the moment.</p>
          <button type="button" onClick={() => read()}>
            Try again
          </button>
        </div>
      ) : (
        <p role="status">Reading it …</p>
      )}
    </Dialog>
  );
}

function Editor({ kept }: { kept: PersonalContext }) {
  const [saved, setSaved] = useState(kept);
  const [context, setContext] = useState(kept);
  /** While it is edited as JSON. */
  const [json, setJson] = useState<string>();
  const [fault, setFault] = useState<string>();
  const [said, setSaid] = useState('');
  const [cleared, setCleared] = useState<PersonalContext>();
  const [{ fetching }, setPersonality] = useMutation(SetPersonality);

  function edited(): void {
    setFault(undefined);
    setSaid('');
    setCleared(undefined);
  }

  /** What was written, if it can go along. */
  function written(): PersonalContext | undefined {
    const parsed = json === undefined ? context : parseContext(json);
    const wrong = typeof parsed === 'string' ? parsed : excessOf(parsed);
    setFault(wrong);
    return wrong === undefined ? (parsed as PersonalContext) : undefined;
  }

  async function save(next: PersonalContext, words: string): Promise<boolean> {
    const personality = Object.keys(next).length > 0 ? next : null;
    const { error } = await setPersonality({ personality });
    setSaid(error ? '' : words);
    const [failure] = error?.graphQLErrors ?? [];
    const told = failure?.extensions['code'] === 'BAD_USER_INPUT' && failure.message;
    if (error) setFault(told || 'It cannot be saved at the moment. Try again.');
    else setSaved(next);
    return !error;
  }

  function show(next: PersonalContext): void {
    setContext(next);
    if (json !== undefined) setJson(textOf(next));
  }

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    // In React's eyes the dialog stands inside the composer's form.
    event.stopPropagation();
    const next = written();
    if (!next || fetching) return;
    setCleared(undefined);
    await save(next, 'Saved. It goes along from your next message on.');
  }

  async function clear(): Promise<void> {
    setFault(undefined);
    const before = saved;
    if (!(await save({}, 'Cleared. Nothing goes along any more.'))) return;
    show({});
    if (Object.keys(before).length > 0) setCleared(before);
  }

  async function putBack(before: PersonalContext): Promise<void> {
    if (!(await save(before, 'It is back, and goes along again.'))) return;
    show(before);
    setCleared(undefined);
  }

  function switchForm(): void {
    if (json === undefined) {
      setJson(textOf(context));
      return;
    }
    const next = written();
    if (!next) return;
    setContext(next);
    setJson(undefined);
  }

  return (
    <form className="personality" onSubmit={submit}>
      {json === undefined ? (
        <Questions
          context={context}
          onAnswer={(key, text) => {
            edited();
            setContext(withText(context, key, text));
          }}
        />
      ) : (
        <>
          <label htmlFor="personality-json">As JSON: an object of at most 16 KiB</label>
          <textarea
            id="personality-json"
            spellCheck={false}
            rows={8}
            value={json}
            aria-invalid={fault !== undefined}
            aria-describedby="personality-fault"
            onChange={({ target }) => {
              edited();
              setJson(target.value);
            }}
          />
        </>
      )}
      <p id="personality-fault" className="fault" role="alert">
        {fault}
      </p>
      <div className="row">
        <button type="submit" className="primary" aria-disabled={fetching}>
          Save
        </button>
        <button type="button" onClick={clear}>
          Clear
        </button>
        <button type="button" onClick={switchForm}>
          {json === undefined ? 'Edit as JSON' : 'Back to the questions'}
        </button>
      </div>
      <div className="row">
        <p role="status">{said}</p>
        {cleared && (
          <button type="button" onClick={() => putBack(cleared)}>
            Put it back
          </button>
        )}
      </div>
    </form>
  );
}

const textOf = (context: PersonalContext) => JSON.stringify(context, null, 2);
