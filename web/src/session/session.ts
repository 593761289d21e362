import type { Store } from './store.ts';

/** Who is signed in, and the tokens that prove it. Guests and Supabase's users have one form. */
export interface Session {
  readonly userId: string;
  /** For a person; a guest has none. */
  readonly email: string | undefined;
  /** A token that is good now, as far as can be told here; made anew where that is possible. */
  token(): Promise<string>;
  /**
   * The server does not take this token. Answers whether there is another one; if not, the state of
   * the accounts says what a person can do.
   */
  renew(refused: string): Promise<boolean>;
}

/** What stands in a conversation, as far as needed to tell it from another one. */
export interface Glimpse {
  readonly token: string;
  readonly userId: string;
  /** Undefined while nothing was written. */
  readonly latest: { readonly message: string; readonly createdAt: string } | undefined;
}

export type AccountState =
  | { readonly kind: 'restoring' }
  /** Nobody to be yet, since the server does not answer; it is asked again by itself. */
  | { readonly kind: 'away' }
  /** A link to another conversation was opened on a device that has one already. */
  | { readonly kind: 'choosing'; readonly here: Glimpse; readonly there: Glimpse }
  /** A link was opened that leads to no conversation of this server. */
  | { readonly kind: 'bad-link' }
  /** Somebody has to sign in; `problem` says why again, in words for a person. */
  | { readonly kind: 'sign-in'; readonly problem: string | undefined }
  /** The operator has to set this variable first. */
  | { readonly kind: 'unset'; readonly variable: string }
  /** `refused`: the server does not take the session's token, and there is no other. */
  | { readonly kind: 'open'; readonly session: Session; readonly refused: boolean };

/** What came of asking the server whether it takes a token after all. */
export type Verdict = 'taken' | 'refused' | 'away';

/** The server's own accounts: one is a guest at once, and the token is all there is to get in. */
export interface GuestAccounts extends Store<AccountState> {
  readonly kind: 'guests';
  /** Shows the refused token again. */
  tryAgain(): Promise<Verdict>;
  /** Becomes another guest; the key of the one before stays on this device. */
  beginAnew(): Promise<Verdict>;
  /** Which conversation this device goes on with, after a link was opened. */
  choose(which: 'here' | 'there'): void;
  /** A link that opens this conversation on another device. */
  invitation(): string;
}

/** Accounts that Supabase keeps: one signs in by e-mail. */
export interface EmailAccounts extends Store<AccountState> {
  readonly kind: 'email';
  /** Has a mail sent, with a link and a code. Answers what went wrong, in words for a person. */
  sendMail(email: string): Promise<string | undefined>;
  /** Signs in with the code of the mail. Answers what went wrong, in words for a person. */
  signIn(email: string, code: string): Promise<string | undefined>;
  /** Shows a token again that was refused, or a new one. */
  tryAgain(): Promise<Verdict>;
  signOut(): Promise<void>;
}

/** Supabase's accounts, of which the server does not know enough. */
export interface UnsetAccounts extends Store<AccountState> {
  readonly kind: 'unset';
}

export type Accounts = GuestAccounts | EmailAccounts | UnsetAccounts;
