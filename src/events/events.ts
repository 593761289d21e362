/** What travels between processes is a hint that there is something to read, never the truth. */
export type Hint =
  /** The user's history has reached this number. */
  | { readonly kind: 'changed'; readonly seq: string }
  /** Whoever writes the reply to this message should stop. */
  | { readonly kind: 'stop'; readonly messageId: string }
  /** Whoever writes the reply to this message should tell all its text so far. */
  | { readonly kind: 'ask'; readonly messageId: string }
  | TextHint;

/**
 * A piece of a reply that is being written: the one thing that travels itself, since it is not stored
 * yet. `run` is the number with which the reply began; `offset` counts UTF-16 code units.
 */
export interface TextHint {
  readonly kind: 'text';
  readonly messageId: string;
  readonly run: string;
  readonly offset: number;
  readonly text: string;
}

export type HintListener = (hint: Hint) => void;

export interface Events {
  /** Never throws and waits for nothing. Listeners in this process hear it at once, Redis or not. */
  publish(userId: string, hint: Hint): void;
  /**
   * Resolves once hints are sure to arrive, with the way to stop. While Redis is away: at once, and a
   * gap is told when they do.
   */
  listen(userId: string, listener: HintListener): Promise<() => void>;
  /**
   * Calls back when hints may have been lost, and now and then while Redis is away: everybody should
   * compare with PostgreSQL then. Answers the way to stop.
   */
  onGap(listener: () => void): () => void;
  /** How many listen in this process. */
  readonly listeners: number;
  close(): Promise<void>;
}
