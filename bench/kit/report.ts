import type { Figure, Report, Target } from './bench.ts';
import { median } from './statistics.ts';

export interface Cell {
  readonly median: number;
  /** To the floor, round by round: the median, the least and the most. */
  readonly ratio: number;
  readonly spread: readonly [number, number];
}

export interface Line {
  readonly name: string;
  readonly unit: string;
  readonly cells: Readonly<Record<string, Cell>>;
  /** Whether what is promised is kept; undefined where nothing is. */
  readonly met?: boolean;
  readonly target?: string;
}

/** Medians, and ratios to the floor of the same round. */
export function linesOf({ contestants, promised, figures }: Report): readonly Line[] {
  const [floor = ''] = Object.keys(contestants);
  return figures.map((figure) => lineOf(figure, figure.values[floor] ?? [], promised));
}

function lineOf(
  { name, unit, values, target }: Figure,
  floors: readonly number[],
  promised = 'chatkeep',
): Line {
  const cells = Object.fromEntries(
    Object.entries(values).map(([contestant, rounds]): [string, Cell] => {
      const ratios = rounds.map((value, i) => value / (floors[i] ?? Number.NaN));
      const spread = [Math.min(...ratios), Math.max(...ratios)] as const;
      return [contestant, { median: median(rounds), ratio: median(ratios), spread }];
    }),
  );
  const ours = cells[promised];
  if (!target || !ours) return { name, unit, cells };
  return { name, unit, cells, ...judge(target, ours, unit) };
}

function judge(target: Target, ours: Cell, unit: string): Pick<Line, 'met' | 'target'> {
  if ('atLeast' in target) {
    return { met: ours.ratio >= target.atLeast, target: `≥ ${target.atLeast} x` };
  }
  if ('atLeastValue' in target) {
    const { atLeastValue: least } = target;
    return { met: ours.median >= least, target: `≥ ${least} ${unit}` };
  }
  return 'ratio' in target
    ? { met: ours.ratio <= target.ratio, target: `≤ ${target.ratio} x` }
    : { met: ours.median <= target.value, target: `≤ ${target.value} ${unit}` };
}

/**
 * A table in Markdown, which is readable as it is.
 *
 * @param only which figures; all without
 */
export function tableOf(report: Report, { only = '', spread = true } = {}): string {
  const names = Object.keys(report.contestants);
  const head = ['', ...names, 'promised', ''];
  const lines = linesOf(report).filter(({ name }) => name.includes(only));
  const body = lines.map((line) => [
    `${line.name}, ${line.unit}`,
    ...names.map((name, i) => cellText(line.cells[name], i === 0, spread)),
    line.target ?? '',
    line.met === undefined ? '' : line.met ? 'kept' : 'MISSED',
  ]);
  const rows = [head, ...body];
  const widths = head.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const text = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [text(head), rule, ...body.map(text)].join('\n');
}

const MOST_TOLD = 100;

function cellText(cell: Cell | undefined, isFloor: boolean, spread: boolean): string {
  if (!cell) return '';
  const value = short(cell.median);
  if (isFloor) return value;
  // Beside nothing, everything is too much, and nothing is no number.
  if (!(cell.ratio <= MOST_TOLD)) return value;
  if (!spread) return `${value} (${cell.ratio.toFixed(2)} x)`;
  const [least, most] = cell.spread;
  return `${value} (${cell.ratio.toFixed(2)} x; ${least.toFixed(2)} to ${most.toFixed(2)})`;
}

/** Three digits that count. */
export const short = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
