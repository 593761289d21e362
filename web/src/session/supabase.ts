import {
  type AuthError,
  createClient,
  isAuthApiError,
  isAuthRetryableFetchError,
  type Session as SupabaseSession,
} from '@supabase/supabase-js';
import { ask, RefusedError } from './ask.ts';
import { takeFragment } from './fragment.ts';
import type { AccountState, EmailAccounts, Session } from './session.ts';
import { createStore } from './store.ts';
import { runsOut } from './token.ts';

interface Options {
  readonly url: string;
  /** The project's publishable key. */
  readonly key: string;
  /** Where our own server is. */
  readonly endpoint: string;
}

const AWAY = 'The sign-in service does not answer. Try again in a moment.';
const RUN_OUT = 'You were signed out here. Sign in again to go on where you were.';
const TRY_AGAIN_MS = 5_000;

/** Accounts of a Supabase project, with its sign-in by e-mail. It keeps the tokens and renews them. */
export async function createSupabaseAccounts(options: Options): Promise<EmailAccounts> {
  const { auth } = createClient(options.url, options.key, {
    // Tokens in a link are ours to take: it would leave them in the browser's history.
    auth: { persistSession: true, autoRefreshToken: true, detectSessionInUrl: false },
    global: { fetch: fetchQuietly },
  });
  const store = createStore<AccountState>({ kind: 'restoring' });
  let signingOut = false;

  function open(session: SupabaseSession): void {
    const state = store.get();
    // It tells of a sign-in each time the tab comes to the front, and of every new token.
    if (state.kind === 'open' && state.session.userId === session.user.id && !state.refused) return;
    store.set({ kind: 'open', session: sessionOf(session), refused: false });
  }

  function sessionOf({ user, access_token }: SupabaseSession): Session {
    let latest = access_token;
    let renewed: string | undefined;
    async function token(): Promise<string> {
      const { data } = await auth.getSession();
      latest = data.session?.access_token ?? latest;
      return latest;
    }
    return {
      userId: user.id,
      email: user.email,
      token,
      async renew(refused) {
        if ((await token()) !== refused) return true;
        // A new token that is refused at once: the next one would be too.
        if (refused === renewed && !runsOut(refused)) {
          const state = store.get();
          if (state.kind === 'open' && !state.refused) store.set({ ...state, refused: true });
          return false;
        }
        const { data, error } = await auth.refreshSession();
        // It would keep a session whose end it has been told for up to a minute more.
        if (isAuthApiError(error)) store.set({ kind: 'sign-in', problem: RUN_OUT });
        if (!data.session) return false;
        latest = data.session.access_token;
        renewed = latest;
        return true;
      },
    };
  }

  /** Whoever was signed in here, or comes by the link of a mail. */
  async function restore(link: URLSearchParams | undefined): Promise<void> {
    const access_token = link?.get('access_token');
    const refresh_token = link?.get('refresh_token');
    const { data, error } =
      access_token && refresh_token
        ? await auth.setSession({ access_token, refresh_token })
        : await auth.getSession();
    if (data.session) {
      open(data.session);
    } else if (isAuthRetryableFetchError(error)) {
      store.set({ kind: 'away' });
      setTimeout(() => void restore(link), TRY_AGAIN_MS);
      return;
    } else {
      const failed = link && 'That link does not work any more. Have a new one sent.';
      store.set({ kind: 'sign-in', problem: failed });
    }
    follow();
  }

  let followed = false;
  function follow(): void {
    if (followed) return;
    followed = true;
    auth.onAuthStateChange((event, session) => {
      if (session) open(session);
      else if (event === 'SIGNED_OUT') {
        store.set({ kind: 'sign-in', problem: signingOut ? undefined : RUN_OUT });
      }
    });
  }

  await restore(takeFragment('access_token', 'error', 'error_code'));

  return {
    kind: 'email',
    get: store.get,
    subscribe: store.subscribe,
    async sendMail(email) {
      const emailRedirectTo = `${window.location.origin}/`;
      const { error } = await auth.signInWithOtp({ email, options: { emailRedirectTo } });
      return error ? wordsOf(error) : undefined;
    },
    async signIn(email, code) {
      const { error } = await auth.verifyOtp({ email, token: code, type: 'email' });
      return error ? wordsOf(error) : undefined;
    },
    async tryAgain() {
      try {
        const { data, error } = await auth.refreshSession();
        if (!data.session) return isAuthRetryableFetchError(error) ? 'away' : 'refused';
        await ask(options.endpoint, '{ viewer { id } }', data.session.access_token);
        open(data.session);
        return 'taken';
      } catch (error) {
        return error instanceof RefusedError ? 'refused' : 'away';
      }
    },
    async signOut() {
      signingOut = true;
      // Of this device alone.
      const { error } = await auth.signOut({ scope: 'local' });
      signingOut = false;
      if (error) throw error;
    },
  };
}

/** GoTrue's codes, in words for a person. */
function wordsOf(error: AuthError): string {
  if (isAuthRetryableFetchError(error)) return AWAY;
  switch (error.code) {
    case 'otp_expired':
      return 'This code is not right, or too old. Look for the newest mail, or have another one sent.';
    case 'over_email_send_rate_limit':
    case 'over_request_rate_limit':
      return 'That was too often. Wait a minute, then try again.';
    case 'email_address_invalid':
    case 'validation_failed':
      return 'This is no e-mail address that a mail can be sent to.';
    case 'otp_disabled':
    case 'signup_disabled':
    case 'email_address_not_authorized':
      return 'This address cannot sign in here: new accounts are off.';
    default:
      return `The sign-in service says: ${error.message}`;
  }
}

/** It writes a failed fetch to the console, and takes a 503 as what it is. */
const fetchQuietly: typeof fetch = (...request) =>
  fetch(...request).catch(() => new Response(null, { status: 503 }));
