import type { Accounts, Session } from './session.ts';

const KEY = 'chatkeep:guest';

interface Kept {
  readonly token: string;
  readonly userId: string;
}

const SIGN_IN = 'mutation SignIn { signInAsGuest { accessToken user { id } } }';

/**
 * Accounts of the server's own: a guest's token is all there is to get in, so it is never thrown away
 * unasked, and never made anew for somebody who has one.
 */
export function createGuestAccounts(endpoint: string): Accounts & {
  /** A new guest, with an empty history. */
  begin(): Promise<Session>;
  /** The guest whose token this is, on another device. @throws when it is not one */
  adopt(token: string): Promise<Session>;
} {
  const listeners = new Set<(session: Session | undefined) => void>();
  const tell = (session: Session | undefined) => {
    for (const listener of [...listeners]) listener(session);
  };

  function sessionOf({ token, userId }: Kept): Session {
    return {
      userId,
      email: undefined,
      token: async () => token,
      async renew() {
        const kept = read();
        if (kept && kept.token !== token) return true;
        tell(undefined);
        return false;
      },
      async signOut() {
        localStorage.removeItem(KEY);
        tell(undefined);
      },
    };
  }

  async function begin(): Promise<Session> {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: SIGN_IN }),
    });
    const { data } = await response.json();
    const { accessToken, user } = data.signInAsGuest;
    return keep({ token: accessToken, userId: user.id });
  }

  function keep(kept: Kept): Session {
    localStorage.setItem(KEY, JSON.stringify(kept));
    const session = sessionOf(kept);
    tell(session);
    return session;
  }

  window.addEventListener('storage', ({ key }) => {
    if (key !== KEY) return;
    const kept = read();
    tell(kept && sessionOf(kept));
  });

  return {
    begin,
    async adopt(token) {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ query: '{ viewer { id } }' }),
      });
      const { data } = await response.json();
      return keep({ token, userId: data.viewer.id });
    },
    async restore() {
      // Two tabs that are opened at once are one guest.
      const once = () => {
        const kept = read();
        return kept ? sessionOf(kept) : begin();
      };
      return navigator.locks ? navigator.locks.request(KEY, once) : once();
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function read(): Kept | undefined {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}
