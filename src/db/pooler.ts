/**
 * Behind a transaction pooler named statements do not work (PgBouncer, Supavisor). They are known by
 * `pgbouncer=true` in the URL, as Prisma and Supabase write it, or by Supavisor's port.
 */
export function poolerOptions(text: string): { url: string; prepare: boolean } {
  const url = new URL(text);
  const pooled = url.searchParams.get('pgbouncer') === 'true' || url.port === '6543';
  // postgres.js would send what it does not know to the server as a setting.
  url.searchParams.delete('pgbouncer');
  return { url: url.href, prepare: !pooled };
}
