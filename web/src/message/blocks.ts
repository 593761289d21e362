const FENCE = /^(`{3,}(?=[^`]*$)|~{3,})/;
const ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)/;
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
  let isList = false;
  let wasBlank = false;
  /** What has to come before a blank line may be a border again. */
  let inside: Inside | undefined;
  for (const line of text.split(/(?<=\n)/)) {
    const isBlank = line.trim() === '';
    if (!isBlank && inside && isList && inside.indented && /^\S/.test(line)) inside = undefined;
    if (!isBlank && !inside && wasBlank && isBorder(line, isList)) {
      blocks.push(block);
      block = '';
    }
    if (block === '') isList = ITEM.test(line);
    block += line;
    wasBlank = isBlank;
    if (inside) {
      if (inside.end.test(line)) inside = undefined;
    } else inside = opening(line, isList);
  }
  return block === '' ? blocks : [...blocks, block];
}

interface Inside {
  readonly end: RegExp;
  readonly indented: boolean;
}

/** Whether a new block begins with a line behind a blank one. */
function isBorder(line: string, isList: boolean): boolean {
  return /^\S/.test(line) && !(isList && ITEM.test(line));
}

function opening(line: string, isList: boolean): Inside | undefined {
  const lead = isList ? (ITEMS.exec(line)?.[0] ?? '') : (/^ {0,3}/.exec(line)?.[0] ?? '');
  const fence = FENCE.exec(line.slice(lead.length).trimEnd())?.[1];
  if (fence) {
    return { end: new RegExp(`^\\s*${fence[0]}{${fence.length},}\\s*$`), indented: lead !== '' };
  }
  const [, end] = HTML.find(([start]) => start.test(line)) ?? [];
  return end && !end.test(line) ? { end, indented: false } : undefined;
}
