import type { MessageStore } from '../db/messages.ts';
import { unauthenticated } from '../errors.ts';
import type { Accounts } from '../services/accounts.ts';
import type { Live } from '../services/live.ts';
import type { Sending } from '../services/sending.ts';
import type { Viewer } from '../services/tokens.ts';

export interface Services {
  readonly messages: MessageStore;
  readonly sending: Sending;
  readonly accounts: Accounts;
  readonly live: Live;
}

/** What a resolver knows besides its arguments. One object an operation. */
export interface Context {
  readonly services: Services;
  readonly viewer: Viewer | undefined;
  /** Noted by a resolver that read a page: what the response is good for. */
  page?: PageRead;
}

export interface PageRead {
  readonly seq: bigint;
  /** False while one of its replies is being written: then its bytes change without a number. */
  readonly settled: boolean;
}

/** The signed-in user. @throws UNAUTHENTICATED */
export function signedIn(context: Context): Viewer {
  if (!context.viewer) throw unauthenticated();
  return context.viewer;
}
