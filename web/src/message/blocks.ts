const FENCE = /^(`{3,}(?=[^`]*$)|~{3,})/;
/** A number alone at the end of the text may be about to become one. */
const ITEM = /^ {0,3}(?:(?:[-*+]|\d{1,9}[.)])(?:\s|$)|\d{1,9}$)/;
const ITEMS = /^(?:[ \t]*(?:[-*+]|\d{1,9}[.)])(?=[ \t]))*[ \t]*/;
/** Definitions work wherever they stand, also before them. */
const DEFINITION = /^ {0,3}(?:[-*+>][ \t]+)*\[[^\]]+\]:/m;
/** HTML that goes on over blank lines, and where it ends (CommonMark 4.6, kinds 1 to 5). */
const HTML: readonly (readonly [RegExp, RegExp])[] = [
  [/^ {0,3}<(?:script|pre|style|textarea)(?:[\s>]|$)/i, /<\/(?:script|pre|style|textarea)>/i],
  [/^ {0,3}<!--/, /-->/],
  [/^ {0,3}<\?/, /\?>/],
  [/^ {0,3}<!\[CDATA\[/, /\]\]>/],
  [/^ {0,3}<![a-z]/i, />/],
];

/**
 * Cuts markdown into pieces that mean the same alone as together, each with one or more of its top-level
 * blocks. Where that is not certain it does not cut. Put together again they are the text, and all but
 * the last stay as they are while the text grows, unless a definition comes.
 */
export function splitBlocks(text: string): string[] {
  if (DEFINITION.test(text)) return [text];
  const blocks: string[] = [];
  let block = '';
  /** Where the text of the last item begins in a block with a list; 0 without one. */
  let indent = 0;
  let wasBlank = false;
  /** What has to come before a blank line may be a border again. */
  let inside: Inside | undefined;
  for (const line of text.split(/(?<=\n)/)) {
    const isBlank = line.trim() === '';
    // Either the item ended, and what was open in it, or it never was in it: cut no more.
    if (!isBlank && inside?.inItem && /^\S/.test(line)) inside = FOR_GOOD;
    if (!isBlank && !inside && wasBlank && isBorder(line, indent)) {
      blocks.push(block);
      block = '';
      indent = 0;
    }
    if (!inside) indent = ITEM.exec(line)?.[0].length ?? indent;
    block += line;
    wasBlank = isBlank;
    if (!inside) inside = opening(line, indent);
    else if (inside.end.test(line)) inside = undefined;
  }
  return block === '' ? blocks : [...blocks, block];
}

interface Inside {
  readonly end: RegExp;
  /** Of a list, and not beside one. */
  readonly inItem: boolean;
}

const FOR_GOOD: Inside = { end: /(?!)/, inItem: false };

/** Whether a new block begins with a line behind a blank one. */
function isBorder(line: string, indent: number): boolean {
  return /^\S/.test(line) && !(indent > 0 && ITEM.test(line));
}

function opening(line: string, indent: number): Inside | undefined {
  const lead = (indent > 0 ? ITEMS : /^ {0,3}/).exec(line)?.[0].length ?? 0;
  const fence = FENCE.exec(line.slice(lead).trimEnd())?.[1];
  if (fence) {
    const end = new RegExp(`^\\s*${fence[0]}{${fence.length},}\\s*$`);
    return { end, inItem: indent > 0 && lead >= indent };
  }
  const [, end] = HTML.find(([start]) => start.test(line)) ?? [];
  return end && !end.test(line) ? { end, inItem: false } : undefined;
}
