import { createContext, use, useSyncExternalStore } from 'react';
import { ENDPOINT } from '../graphql/client.ts';
import type { Settings } from '../settings.ts';
import { createGuestAccounts } from './guest.ts';
import type { Accounts, AccountState } from './session.ts';
import { createStore } from './store.ts';

/** The accounts that this server goes by. */
export async function openAccounts(settings: Settings): Promise<Accounts> {
  if (settings.accounts === 'own') return createGuestAccounts(ENDPOINT);
  const { supabaseUrl: url, supabaseKey: key } = settings;
  if (!url || !key) {
    const variable = url ? 'SUPABASE_ANON_KEY' : 'SUPABASE_URL';
    return { kind: 'unset', ...createStore<AccountState>({ kind: 'unset', variable }) };
  }
  const { createSupabaseAccounts } = await import('./supabase.ts');
  return createSupabaseAccounts({ url, key, endpoint: ENDPOINT });
}

/** The accounts of the page, for everything inside it. */
export const AccountsContext = createContext<Accounts | undefined>(undefined);

export function useAccounts(): Accounts {
  const accounts = use(AccountsContext);
  if (!accounts) throw new Error('useAccounts needs an AccountsContext around it.');
  return accounts;
}

export function useAccountState(accounts: Accounts): AccountState {
  return useSyncExternalStore(accounts.subscribe, accounts.get);
}
