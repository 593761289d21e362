import type { Report } from './bench.ts';
import { linesOf, short } from './report.ts';

const COLORS = [
  ...['#9aa0a6', '#2563eb', '#d97706', '#059669', '#7c3aed'],
  ...['#dc2626', '#0891b2', '#65a30d', '#be185d', '#92400e'],
];
/** Of the names above, in a row. */
const NAMES = 6;
const LABELS = 330;
const BARS = 420;
const BAR = 13;

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Bars by contestant for each figure, each figure on a scale of its own. */
export function chartOf(report: Report): string {
  const names = Object.keys(report.contestants);
  const parts: string[] = [];
  let y = 30;
  const text = (x: number, at: number, words: string, more = '') =>
    parts.push(`<text x="${x}" y="${at}"${more}>${escaped(words)}</text>`);
  text(10, 18, report.title, ' font-weight="bold"');
  names.forEach((name, i) => {
    const [x, at] = [10 + (i % NAMES) * 130, y + 15 * Math.floor(i / NAMES)];
    parts.push(`<rect x="${x}" y="${at}" width="10" height="10" fill="${COLORS[i]}"/>`);
    text(x + 15, at + 10, name);
  });
  y += 11 + 15 * Math.ceil(names.length / NAMES);
  for (const { name, unit, cells } of linesOf(report)) {
    const most = Math.max(
      ...Object.values(cells).map((cell) => cell.median || 0),
      Number.MIN_VALUE,
    );
    text(10, y + BAR, `${name}, ${unit}`);
    names.forEach((contestant, i) => {
      const cell = cells[contestant];
      if (!cell) return;
      const width = Math.max(1, (cell.median / most) * BARS || 0);
      parts.push(
        `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}" fill="${COLORS[i]}"/>`,
      );
      const ratio = i === 0 || !(cell.ratio <= 100) ? '' : ` (${cell.ratio.toFixed(2)} x)`;
      text(LABELS + width + 5, y + BAR - 3, `${short(cell.median)}${ratio}`);
      y += BAR;
    });
    y += 9;
  }
  const width = LABELS + BARS + 110;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" font-family="sans-serif" font-size="11" fill="#202124">
<rect width="100%" height="100%" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}
