/** What goes along with a message: an object, whose keys anybody may choose. */
export type PersonalContext = Readonly<Record<string, unknown>>;

/** As the server has it, for compact UTF-8. */
const MOST_BYTES = 16 * 1024;

/** The context without a key, or with another text for it. */
export function withText(context: PersonalContext, key: string, text: string): PersonalContext {
  const { [key]: _, ...rest } = context;
  return text === '' ? rest : { ...context, [key]: text };
}

/** What JSON that somebody wrote comes to; or what is wrong with it, in words. */
export function parseContext(text: string): PersonalContext | string {
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `This is not JSON yet. ${(error as Error).message}.`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'It has to be an object, such as { "tone": "calm" }.';
  }
  return value as PersonalContext;
}

/** Why a context is too large, in words; undefined if it is not. */
export function excessOf(context: PersonalContext): string | undefined {
  const bytes = new TextEncoder().encode(JSON.stringify(context)).length;
  if (bytes <= MOST_BYTES) return undefined;
  const size = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(bytes / 1024);
  return `This is too much: ${size} KiB, and at most 16 KiB go along.`;
}
