import { type ReactNode, useEffect, useState } from 'react';
import type { Settings } from '../settings.ts';
import { createGuestAccounts } from './guest.ts';
import type { Session } from './session.ts';

export type SessionState =
  | { readonly kind: 'restoring' }
  | { readonly kind: 'none'; readonly signIn: ReactNode }
  | { readonly kind: 'open'; readonly session: Session };

const guests = createGuestAccounts('/graphql');

/** Who is signed in, followed over tabs. */
export function useSession(_settings: Settings): SessionState {
  const [state, setState] = useState<SessionState>({ kind: 'restoring' });
  useEffect(() => {
    const show = (session: Session | undefined) =>
      setState(session ? { kind: 'open', session } : { kind: 'none', signIn: null });
    guests.restore().then(show);
    return guests.onChange(show);
  }, []);
  return state;
}
