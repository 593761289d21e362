/** Clocks differ, and a request is under way for a while. */
const MARGIN_MS = 5_000;

/** Whether a JWT has run out, or will before a request with it arrives. */
export function runsOut(token: string): boolean {
  const exp = claimsOf(token)['exp'];
  return typeof exp === 'number' && exp * 1000 - Date.now() < MARGIN_MS;
}

/** What a JWT says, without a look at its signature: that is the server's part. */
function claimsOf(token: string): Record<string, unknown> {
  try {
    const [, body = ''] = token.split('.');
    return JSON.parse(atob(body.replaceAll('-', '+').replaceAll('_', '/')));
  } catch {
    return {};
  }
}
