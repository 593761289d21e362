import type { SignedIn, UserRow } from '../services/accounts.ts';
import { type Context, signedIn } from './context.ts';

export const viewer = (context: Context): Promise<UserRow> =>
  context.services.accounts.viewer(signedIn(context));

export const setPersonality = (
  { personality }: { readonly personality?: unknown },
  context: Context,
): Promise<UserRow> => context.services.accounts.setPersonality(signedIn(context), personality);

export const signInAsGuest = (context: Context): Promise<SignedIn> =>
  context.services.accounts.signInAsGuest();
