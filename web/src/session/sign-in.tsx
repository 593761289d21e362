import { type FormEvent, useEffect, useRef, useState } from 'react';
import type { EmailAccounts } from './session.ts';

interface Props {
  readonly accounts: EmailAccounts;
  /** Why somebody has to sign in, if there is a reason. */
  readonly problem: string | undefined;
}

const RESEND_AFTER_S = 60;

/** Sign-in by e-mail: first the address, then the code of the mail, or the link in it. */
export function SignIn({ accounts, problem }: Props) {
  const [email, setEmail] = useState<string>();
  return (
    <section className="entrance" aria-labelledby="entrance-title">
      <h1 id="entrance-title">One conversation, kept for life</h1>
      <p>Write with an AI, and find what was said again, years later, on any of your devices.</p>
      {problem && email === undefined && <p role="status">{problem}</p>}
      {email === undefined ? (
        <AddressForm accounts={accounts} onSent={setEmail} />
      ) : (
        <CodeForm accounts={accounts} email={email} onBack={() => setEmail(undefined)} />
      )}
    </section>
  );
}

function AddressForm({
  accounts,
  onSent,
}: {
  accounts: EmailAccounts;
  onSent: (email: string) => void;
}) {
  const field = useRef<HTMLInputElement>(null);
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    const input = field.current;
    if (!input || busy) return;
    const email = input.value.trim();
    if (!/^\S+@\S+$/.test(email)) {
      setFault('Write your e-mail address, such as ada@example.org.');
      return input.focus();
    }
    setBusy(true);
    const wrong = await accounts.sendMail(email);
    setBusy(false);
    if (wrong === undefined) return onSent(email);
    setFault(wrong);
    input.focus();
  }

  return (
    <form className="fields" noValidate onSubmit={submit}>
      <label htmlFor="email">Your e-mail address</label>
      <input
        ref={field}
        id="email"
        type="email"
        autoComplete="email"
        inputMode="email"
        required
        aria-invalid={fault !== undefined}
        aria-describedby="email-fault"
        onChange={() => setFault(undefined)}
      />
      <p id="email-fault" className="fault" role="alert">
        {fault}
      </p>
      <button type="submit" className="primary" aria-disabled={busy}>
        {busy ? 'Sending the mail …' : 'Send me a sign-in mail'}
      </button>
      <p className="quiet">No password. The first time, this makes your account.</p>
    </form>
  );
}

function CodeForm({
  accounts,
  email,
  onBack,
}: {
  accounts: EmailAccounts;
  email: string;
  onBack: () => void;
}) {
  const field = useRef<HTMLInputElement>(null);
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);
  useEffect(() => field.current?.focus(), []);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    const input = field.current;
    if (!input || busy) return;
    const code = input.value.replace(/\s/g, '');
    if (!code) {
      setFault('Write the code of the mail.');
      return input.focus();
    }
    setBusy(true);
    const wrong = await accounts.signIn(email, code);
    setBusy(false);
    setFault(wrong);
    if (wrong !== undefined) input.select();
  }

  return (
    <form className="fields" noValidate onSubmit={submit}>
      <p role="status">
        Look into your mail: we wrote to <b>{email}</b>. Open the link in it, or copy the code.
      </p>
      <label htmlFor="code">The code of the mail</label>
      <input
        ref={field}
        id="code"
        inputMode="numeric"
        autoComplete="one-time-code"
        required
        aria-invalid={fault !== undefined}
        aria-describedby="code-fault"
        onChange={() => setFault(undefined)}
      />
      <p id="code-fault" className="fault" role="alert">
        {fault}
      </p>
      <button type="submit" className="primary" aria-disabled={busy}>
        {busy ? 'Signing in …' : 'Sign in'}
      </button>
      <div className="row">
        <Resend send={() => accounts.sendMail(email)} onFault={setFault} />
        <button type="button" onClick={onBack}>
          Another address
        </button>
      </div>
    </form>
  );
}

/** Supabase sends one mail a minute; until then there is nothing to press. */
function Resend({
  send,
  onFault,
}: {
  send: () => Promise<string | undefined>;
  onFault: (fault: string | undefined) => void;
}) {
  const [left, setLeft] = useState(RESEND_AFTER_S);
  const waiting = left > 0;
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(() => setLeft((seconds) => seconds - 1), 1_000);
    return () => clearInterval(timer);
  }, [waiting]);

  async function again(): Promise<void> {
    setLeft(RESEND_AFTER_S);
    onFault(await send());
  }

  if (waiting) return <p className="quiet">No mail? Another one can be sent in {left} s.</p>;
  return (
    <button type="button" onClick={again}>
      Send another mail
    </button>
  );
}
