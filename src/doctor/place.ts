/** A URL without its password and its parameters: where, what, and as whom. */
export function placeOf(text: string): string {
  const { hostname, port, pathname, username } = new URL(text);
  const where = `${hostname}${port && `:${port}`}${pathname === '/' ? '' : pathname}`;
  return username ? `${where} as ${decodeURIComponent(username)}` : where;
}

/** Whether it leads to this machine, so that nobody can listen on the way. */
export function isLocal(text: string): boolean {
  const { hostname } = new URL(text);
  return hostname === '' || hostname === 'localhost' || /^(127\.|\[::1\]$)/.test(hostname);
}
