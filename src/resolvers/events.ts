import type { MessageRow } from '../services/history.ts';
import type { ChatEvent } from '../services/live.ts';
import { type Context, signedIn } from './context.ts';
import { decodeChangeCursor, encodeChangeCursor } from './cursor.ts';

export type { ChatEvent };

export const messageAdded = (context: Context): Promise<AsyncIterable<MessageRow>> =>
  context.services.live.messageAdded(signedIn(context));

export async function chatEvents(
  args: { readonly after?: string | null | undefined },
  context: Context,
): Promise<AsyncIterable<ChatEvent>> {
  const viewer = signedIn(context);
  const after = decodeChangeCursor(viewer.sub, 'after', args.after);
  return context.services.live.chatEvents(viewer, after);
}

/** Where an event or a page stands among the changes: `chatEvents` goes on `after` it. */
export const cursorOf = ({ seq }: { readonly seq: bigint }, context: Context): string =>
  encodeChangeCursor(signedIn(context).sub, seq);
