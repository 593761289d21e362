/** What error codes of Node, postgres.js and PostgreSQL mean to an operator. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up',
  ENETUNREACH: 'no way to that network',
  EHOSTUNREACH: 'no way to that host',
  ETIMEDOUT: 'no answer in time',
  CONNECT_TIMEOUT: 'no answer in time',
  CONNECTION_CLOSED: 'the connection was closed',
  CONNECTION_ENDED: 'the connection was closed',
  UND_ERR_CONNECT_TIMEOUT: 'no answer in time',
  UND_ERR_SOCKET: 'the connection was cut',
  '28P01': 'the password is not taken',
  '28000': 'the role may not log in',
  '3D000': 'there is no such database',
  '42501': 'this role may not look at it',
  '53300': 'it takes no more connections',
  '57014': 'it took too long',
  '57P03': 'it is starting or stopping',
};

interface Coded {
  readonly code?: unknown;
  readonly name?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

/**
 * Why something failed, in our own words where there are some. A foreign message is repeated only where
 * a server refused in words of its own, which hold no secret; a URL never is.
 */
export function reasonOf(error: unknown): string {
  const { code, name, message, cause, errors } = Object(error) as Coded;
  if (typeof code === 'string' && REASONS[code]) return REASONS[code];
  if (name === 'TimeoutError' || name === 'AbortError') return 'no answer in time';
  // What Node tried of a host's several addresses; what fetch failed for.
  const inner = errors?.[0] ?? cause;
  if (inner) return reasonOf(inner);
  if (name === 'PostgresError' || name === 'ReplyError') return String(message).slice(0, 160);
  return String(code ?? (message === 'Command timed out' ? 'no answer in time' : name));
}
