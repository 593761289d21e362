/** What the server tells the page at run time, in index.html. */
export interface Settings {
  /** Who keeps the accounts: the server itself, with guests, or Supabase. */
  readonly accounts: 'own' | 'supabase';
  readonly supabaseUrl?: string;
  /** The project's publishable key. */
  readonly supabaseKey?: string;
}

export function readSettings(): Settings {
  const text = document.getElementById('settings')?.textContent ?? '{}';
  return { accounts: 'own', ...(JSON.parse(text) as Partial<Settings>) };
}
