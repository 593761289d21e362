/** The contract's codes for what a caller may be told; everything else is masked. */
export type ErrorCode =
  | 'UNAUTHENTICATED'
  | 'BAD_USER_INPUT'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'RATE_LIMITED'
  | 'SERVICE_UNAVAILABLE';

/** A failure that the caller may see: `message` is written for them, `code` for their program. */
export class ExpectedError extends Error {
  override readonly name = 'ExpectedError';
  readonly code: ErrorCode;
  /** What stands beside `code` in the error's extensions. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** `argument` is the path of the argument that is out of its range, e.g. `input.message`. */
export function badInput(argument: string, message: string): ExpectedError {
  return new ExpectedError('BAD_USER_INPUT', message, { argument });
}

export function notFound(): ExpectedError {
  return new ExpectedError('NOT_FOUND', 'There is no such message.');
}

export function conflict(message: string): ExpectedError {
  return new ExpectedError('CONFLICT', message);
}

export function unauthenticated(message = 'Sign in first.'): ExpectedError {
  return new ExpectedError('UNAUTHENTICATED', message);
}

/** PostgreSQL did not answer. Sending the same again is safe, for messages under the same id. */
export function unavailable(cause: unknown): ExpectedError {
  const message = 'The history cannot be reached right now. Try again.';
  return new ExpectedError('SERVICE_UNAVAILABLE', message, {}, { cause });
}
