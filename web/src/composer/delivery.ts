import type { Client, CombinedError } from 'urql';
import { graphql } from '../graphql/generated/index.ts';
import type { SendMessageInput } from '../graphql/generated/graphql.ts';

// The id alone, as in all changes: an answer that is late would put the message back to where it was before its reply. What
// became of it is told by chatEvents.
const SendMessage = graphql(/* GraphQL */ `
  mutation SendMessage($input: SendMessageInput!) {
    sendMessage(input: $input) {
      message {
        id
      }
    }
  }
`);

/** What became of one try to send a message. */
export type Outcome =
  | { readonly kind: 'stored' }
  /** Sending the same again would be refused again. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** `reason` is for a person; without one there was no answer at all. */
  | { readonly kind: 'later'; readonly afterMs?: number; readonly reason?: string };

/** A request without an answer for so long is given up; under its id it can be sent again. */
const PATIENCE_MS = 30_000;

/** What passes by itself, and how that is said to a person. Anything else would be refused again. */
const PASSING: Readonly<Record<string, string>> = {
  RATE_LIMITED: 'That was many messages within a minute: it goes out in a moment.',
  SERVICE_UNAVAILABLE: 'The server cannot take it right now: it goes out by itself.',
  UNAUTHENTICATED: 'Kept on this device until you are signed in again.',
};

const patientFetch: typeof fetch = (input, init) => {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const signal = init?.signal ? AbortSignal.any([init.signal, patience]) : patience;
  return fetch(input, { ...init, signal });
};

/** Sends one message and waits until it is stored, not until it is answered. */
export async function deliver(client: Client, input: SendMessageInput): Promise<Outcome> {
  const { data, error } = await client
    .mutation(SendMessage, { input: { ...input, awaitReply: false } }, { fetch: patientFetch })
    .toPromise();
  return data ? { kind: 'stored' } : outcomeOf(error);
}

function outcomeOf(error: CombinedError | undefined): Outcome {
  const refusal = error?.graphQLErrors[0];
  if (!refusal) return { kind: 'later' };
  const { code, retryAfterMs } = refusal.extensions;
  const reason = PASSING[String(code)];
  if (!reason) return { kind: 'refused', reason: refusal.message };
  return { kind: 'later', reason, ...(retryAfterMs ? { afterMs: Number(retryAfterMs) } : {}) };
}
