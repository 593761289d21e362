/**
 * The last block of a reply that grows, closed as it will most likely be: what is begun does not show
 * its marks now to change its look with the next piece.
 */
export function closeOpen(block: string): string {
  const fences = block.match(/^[ \t]*(?:`{3,}|~{3,})/gm) ?? [];
  // A fence that is open ends with the text; only the beginning of its end must not show as code.
  if (fences.length % 2 === 1) return block.replace(/\n[ \t]*(?:`{1,2}|~{1,2})$/, '');
  const text = block
    // The first mark of a fence, and of a list or a line, which below a paragraph makes a heading.
    .replace(/(^|\n)[ \t]*(?:`{1,2}|~{1,2}|[-=*+_#>]{1,3}|\d{1,9}[.)]?)[ \t]*$/, '$1')
    // An address that is not all there.
    .replace(/!?\[([^\]\n]*)\]\([^)\n]*$/, '$1');
  const start = text.lastIndexOf('\n\n') + 1;
  return text.slice(0, start) + closeMarks(text.slice(start));
}

/** Closes what is emphasised or code in the last paragraph. */
function closeMarks(paragraph: string): string {
  const open: string[] = [];
  for (const [mark] of paragraph.matchAll(/\\.|`+|\*\*|\*(?=\S)|(?<=\S)\*|~~/g)) {
    if (mark.startsWith('\\')) continue;
    const isCode = open.at(-1)?.startsWith('`');
    if (open.at(-1) === mark) open.pop();
    else if (!isCode) open.push(mark);
  }
  let closed = paragraph;
  for (const mark of open.toReversed()) {
    const ended = closed.trimEnd();
    // With nothing behind it yet, the mark waits for its text.
    if (ended.endsWith(mark)) closed = ended.slice(0, -mark.length);
    else closed = ended + mark;
  }
  return closed;
}
