import { useRef, useState } from 'react';

/** A link that opens the conversation on another device; not on show before it is asked for. */
export function Invitation({ link }: { link: () => string }) {
  const [shown, setShown] = useState<string>();
  return (
    <section className="invitation">
      <h3>Another device</h3>
      {shown === undefined ? (
        <>
          <p>A link opens this conversation on your phone, or in another browser.</p>
          <button type="button" onClick={() => setShown(link())}>
            Open on another device
          </button>
        </>
      ) : (
        <Link url={shown} />
      )}
    </section>
  );
}

function Link({ url }: { url: string }) {
  const field = useRef<HTMLInputElement>(null);
  const [said, setSaid] = useState('');

  async function copy(): Promise<void> {
    field.current?.select();
    try {
      await navigator.clipboard.writeText(url);
      setSaid('Copied. Open it on the other device.');
    } catch {
      setSaid('It is selected: copy it from the field.');
    }
  }

  return (
    <>
      <p id="invitation-warning">
        <strong>Who has this link has the conversation</strong>: can read all of it and write in it.
        Send it to nobody but yourself.
      </p>
      <label htmlFor="invitation-link">The link</label>
      <input
        ref={field}
        id="invitation-link"
        readOnly
        value={url}
        aria-describedby="invitation-warning"
        onFocus={({ currentTarget }) => currentTarget.select()}
      />
      <div className="row">
        <button type="button" className="primary" onClick={copy}>
          Copy the link
        </button>
        {'share' in navigator && (
          <button
            type="button"
            // Turned down by whoever pressed it: nothing to say.
            onClick={() => navigator.share({ title: 'chatkeep', url }).catch(() => {})}
          >
            Share …
          </button>
        )}
      </div>
      <p role="status">{said}</p>
    </>
  );
}
