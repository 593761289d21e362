import type { CombinedError } from 'urql';
import type { Unsent } from '../composer/outbox.ts';
import type { ReplyStatus } from '../graphql/generated/graphql.ts';

/** How a reply ended, if there is anything to be said about it. */
export function whatBecame(status: ReplyStatus, failure: string | null | undefined): string {
  if (status === 'FAILED') return `The model did not answer. ${failure ?? ''}`.trim();
  if (status === 'STOPPED') return 'You stopped this reply.';
  if (status === 'COMPLETE' && failure) return failure;
  return '';
}

/** How it stands with a message that is not stored yet. */
export function whyUnsent({ state, reason }: Unsent): string {
  if (state === 'sending') return 'Sending …';
  if (state === 'stored') return 'Sent.';
  if (state === 'refused') return `Not sent. ${reason ?? ''}`.trim();
  return reason ?? 'Kept on this device, goes out when you are back.';
}

/** Why something that was asked for did not happen. */
export function inWords({ graphQLErrors }: CombinedError): string {
  return graphQLErrors[0]?.message ?? 'There is no connection. Try again.';
}
