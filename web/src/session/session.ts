/** Who is signed in, and the tokens that prove it. Guests and Supabase's users have one form. */
export interface Session {
  readonly userId: string;
  /** For a person; a guest has none. */
  readonly email: string | undefined;
  /** A token that is good now; made anew where that is possible. */
  token(): Promise<string>;
  /**
   * The server does not take the token. Answers whether there may be another one; if not, the session
   * is over, and its owner has to sign in.
   */
  renew(): Promise<boolean>;
  signOut(): Promise<void>;
}

/** Where sessions come from. */
export interface Accounts {
  /** Who was signed in here before, or becomes a guest at once; undefined if somebody has to sign in. */
  restore(): Promise<Session | undefined>;
  /** Calls back when the session is over, or another one began in another tab. */
  onChange(listener: (session: Session | undefined) => void): () => void;
}
