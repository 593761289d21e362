import { ask, RefusedError } from './ask.ts';
import { takeFragment } from './fragment.ts';
import { type Kept, keep, onKept, read } from './kept.ts';
import type { AccountState, Glimpse, GuestAccounts, Session, Verdict } from './session.ts';
import { createStore } from './store.ts';

const SIGN_IN = 'mutation SignIn { signInAsGuest { accessToken user { id } } }';
const GLIMPSE =
  'query Glimpse { viewer { id } chatHistory(first: 1) { nodes { message createdAt } } }';

const LONGEST_PAUSE_MS = 30_000;

/**
 * Accounts of the server's own: a guest's token is all there is to get in, so it is never thrown away
 * unasked, and never made anew for somebody who has one.
 */
export function createGuestAccounts(endpoint: string): GuestAccounts {
  const store = createStore<AccountState>({ kind: 'restoring' });
  /** Whom this page speaks for: may be somebody whom the browser would not keep. */
  let current: Kept | undefined;
  let link = takeLink();
  let tries = 0;

  function open(kept: Kept): void {
    current = kept;
    store.set({ kind: 'open', session: sessionOf(kept), refused: false });
  }

  function sessionOf({ userId, token }: Kept): Session {
    return {
      userId,
      email: undefined,
      token: async () => token,
      async renew() {
        const state = store.get();
        if (state.kind === 'open' && state.session.userId === userId && !state.refused) {
          store.set({ ...state, refused: true });
        }
        return false;
      },
    };
  }

  async function begin(): Promise<Kept> {
    const { signInAsGuest } = await ask<{
      signInAsGuest: { accessToken: string; user: { id: string } };
    }>(endpoint, SIGN_IN);
    return { token: signInAsGuest.accessToken, userId: signInAsGuest.user.id };
  }

  async function glimpse(token: string): Promise<Glimpse> {
    const { viewer, chatHistory } = await ask<{
      viewer: { id: string };
      chatHistory: { nodes: Glimpse['latest'][] };
    }>(endpoint, GLIMPSE, token);
    return { token, userId: viewer.id, latest: chatHistory.nodes[0] };
  }

  /** The guest of this device, or a new one. */
  async function enter(): Promise<void> {
    const kept = read() ?? current ?? keep(await begin());
    if (current?.token !== kept.token || store.get().kind !== 'open') open(kept);
  }

  /** Another conversation's link: taken at once, unless something was written here. */
  async function join(token: string): Promise<void> {
    const kept = read();
    const [there, here] = await Promise.all([
      glimpse(token).catch(unlessAway),
      kept && glimpse(kept.token).catch(unlessAway),
    ]);
    link = undefined;
    if (!there) store.set({ kind: 'bad-link' });
    else if (here?.userId === there.userId) await enter();
    else if (here?.latest) store.set({ kind: 'choosing', here, there });
    else open(keep(there));
  }

  /** Until it is somebody. Two tabs that are opened at once are one guest. */
  async function restore(): Promise<void> {
    try {
      await alone(() => (link ? join(link) : enter()));
      tries = 0;
    } catch {
      store.set({ kind: 'away' });
      window.addEventListener('online', again);
      const timer = setTimeout(again, Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** tries));
      tries += 1;
      function again(): void {
        clearTimeout(timer);
        window.removeEventListener('online', again);
        void restore();
      }
    }
  }

  onKept(() => {
    const kept = read();
    // Nothing kept any more means that somebody cleared the browser: this page goes on.
    if (kept && kept.token !== current?.token && store.get().kind !== 'choosing') open(kept);
  });
  window.addEventListener('hashchange', () => {
    link = takeLink();
    if (link) void restore();
  });
  void restore();

  return {
    kind: 'guests',
    get: store.get,
    subscribe: store.subscribe,
    tryAgain: () =>
      verdict(async () => {
        if (!current) return;
        await glimpse(current.token);
        open(current);
      }),
    beginAnew: () =>
      verdict(async () => {
        const guest = await begin();
        open(keep(guest));
      }),
    choose(which) {
      const state = store.get();
      if (state.kind === 'choosing' && which === 'there') open(keep(state.there));
      else void restore();
    },
    invitation() {
      const { origin } = window.location;
      return `${origin}/#${new URLSearchParams({ join: current?.token ?? '' })}`;
    },
  };
}

const takeLink = (): string | undefined => takeFragment('join')?.get('join') ?? undefined;

function unlessAway(error: unknown): undefined {
  if (!(error instanceof RefusedError)) throw error;
}

async function verdict(action: () => Promise<void>): Promise<Verdict> {
  try {
    await action();
    return 'taken';
  } catch (error) {
    return error instanceof RefusedError ? 'refused' : 'away';
  }
}

/** One tab at a time; without locks (on http: to another machine) there is no such promise. */
const alone = (action: () => Promise<void>): Promise<void> =>
  navigator.locks ? navigator.locks.request('chatkeep:guest', action) : action();
