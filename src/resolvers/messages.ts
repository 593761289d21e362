import { type Exchange, findMessage, type MessageRow } from '../services/history.ts';
import type { SendRequest } from '../services/sending.ts';
import { type Context, signedIn } from './context.ts';
import { encodeCursor } from './cursor.ts';

type ById = { readonly id: string };

/** Where an exchange stands in the history: hand it back as `after` or `before`. */
export const placeOf = (row: Exchange): string => encodeCursor(row.userId, row);

export const message = async ({ id }: ById, context: Context): Promise<MessageRow | null> =>
  (await findMessage(context.services.messages, signedIn(context), id)) ?? null;

export const sendMessage = async (
  { input }: { readonly input: SendRequest },
  context: Context,
): Promise<{ message: MessageRow }> => ({
  message: await context.services.sending.send(signedIn(context), input),
});

export const stopReply = ({ id }: ById, context: Context): Promise<MessageRow> =>
  context.services.sending.stop(signedIn(context), id);

export const retryReply = ({ id }: ById, context: Context): Promise<MessageRow> =>
  context.services.sending.retry(signedIn(context), id);

export const deleteMessage = ({ id }: ById, context: Context): Promise<string> =>
  context.services.sending.delete(signedIn(context), id);
