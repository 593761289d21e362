/**
 * An instant as PostgreSQL prints it, in ISO 8601 and cut to milliseconds. What a Date would make of it, which
 * takes ten times as long, a hundred times a page.
 */
export function instantOf(text: string): string {
  // 2026-11-28 12:23:32.123456+00, with as many digits behind the point as it needs.
  const isPlain = text.length >= 22 && text[10] === ' ' && text.endsWith('+00');
  if (!isPlain) return new Date(text).toISOString();
  const milliseconds = text.slice(20, Math.min(23, text.length - 3)).padEnd(3, '0');
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${milliseconds}Z`;
}
