import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * The process's log: JSON lines on stdout. Message texts and secrets never get here by rule;
 * the redaction below is the second line of defence, for objects logged whole.
 */
export function createLog(level: string): Logger {
  return pino({
    level,
    // Several processes may write to the same place.
    base: { pid: process.pid },
    redact: {
      paths: [
        'authorization',
        '*.authorization',
        '*.headers.authorization',
        '*.message.message',
        '*.response',
        '*.apiKey',
        '*.password',
        '*.accessToken',
      ],
      censor: '[redacted]',
    },
  });
}
