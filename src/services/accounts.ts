import { randomUUID } from 'node:crypto';
import type { Claims } from '../db/database.ts';
import type { UserRow, UserStore } from '../db/users.ts';
import { conflict, unauthenticated } from '../errors.ts';
import { checkJsonObject } from './input.ts';
import type { TokenSigner } from './tokens.ts';

export type { UserRow };

export interface SignedIn {
  readonly accessToken: string;
  readonly expiresAt: Date;
  readonly user: UserRow;
}

/** Who is asking. Without a signer, accounts are somebody else's (Supabase). */
export function createAccounts({ users, signer }: { users: UserStore; signer?: TokenSigner }) {
  async function viewer(claims: Claims): Promise<UserRow> {
    return known(await users.register(claims));
  }

  return {
    viewer,

    /** What goes along with the user's messages from now on; null forgets it. */
    async setPersonality(claims: Claims, personality: unknown): Promise<UserRow> {
      const checked = checkJsonObject('personality', personality ?? null);
      return known(await users.setPersonality(claims, checked));
    },

    /** A new account without a name; its token is all there is to get in. */
    async signInAsGuest(): Promise<SignedIn> {
      if (!signer) throw conflict('Guests are off: sign in with Supabase.');
      const user = await viewer({ sub: randomUUID() });
      const { token: accessToken, expiresAt } = await signer.sign(user.id);
      return { accessToken, expiresAt, user };
    },
  };
}

export type Accounts = ReturnType<typeof createAccounts>;

function known(user: UserRow | undefined): UserRow {
  if (!user) throw unauthenticated('This account does not exist any more.');
  return user;
}
