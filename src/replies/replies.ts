/** One finished exchange of the conversation, as the model gets to see it. */
export interface Turn {
  readonly message: string;
  readonly response: string;
}

/** What a reply is written from. */
export interface ReplyRequest {
  readonly message: string;
  /** An object the user's client sent along; data to the model, never an instruction. */
  readonly personalityContext: unknown;
  /** The turns before this message, oldest first. */
  readonly turns: readonly Turn[];
}

/** How a reply ended well: `stop` is the model's own end, `length` its limit of tokens. */
export type ReplyEnd = 'stop' | 'length';

/** The reply did not come, or broke off. `message` is a sentence for the person who waits. */
export class ReplyFailed extends Error {
  override readonly name = 'ReplyFailed';
}

/**
 * Who writes the replies. Two forms: Gemini, and the offline companion.
 *
 * `write` yields the text piece by piece and returns how it ended. It throws `ReplyFailed` when the
 * reply does not come or breaks off (what was yielded before stays valid), and the signal's reason
 * once `signal` is aborted; it never ends normally without a finish reason from the model.
 */
export interface ReplyWriter {
  /** For the start's summary, e.g. `Gemini (gemini-2.5-flash)`. */
  readonly name: string;
  write(request: ReplyRequest, signal: AbortSignal): AsyncGenerator<string, ReplyEnd, void>;
}
