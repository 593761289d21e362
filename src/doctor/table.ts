import type { Section } from './examine.ts';
import { type Finding, VERDICTS, type Verdict } from './finding.ts';

const SIGNS = { ok: '✓', look: '!', fault: '✗' } as const;
/** ECMA-48: begin and end of green, yellow, red and bold. */
const STYLES = { ok: [32, 39], look: [33, 39], fault: [31, 39], bold: [1, 22] } as const;

/** The findings as an operator reads them: a line each, and the advice below what is not ok. */
export function printTable(sections: readonly Section[], inColour: boolean): string {
  const findings = sections.flatMap((section) => section.findings);
  const width = Math.max(...findings.map(({ subject }) => subject.length));
  const paint = (style: keyof typeof STYLES, text: string) => {
    const [begin, end] = STYLES[style];
    return inColour ? `\u001b[${begin}m${text}\u001b[${end}m` : text;
  };

  const line = ({ subject, value, verdict, advice }: Finding) => {
    const sign = paint(verdict, `${SIGNS[verdict]} ${verdict.padEnd(5)}`);
    const first = `  ${sign}  ${subject.padEnd(width)}  ${value}`;
    return advice === undefined ? [first] : [first, `           → ${advice}`];
  };
  const blocks = sections.map(({ name, findings }) =>
    [paint('bold', name), ...findings.flatMap(line)].join('\n'),
  );
  return [...blocks, summary(findings)].join('\n\n');
}

function summary(findings: readonly Finding[]): string {
  const count = (verdict: Verdict) => findings.filter((one) => one.verdict === verdict).length;
  const [fine, looks, faults] = VERDICTS.map(count);
  const counted = `${fine} ok, ${looks} to look at, ${faults} ${faults === 1 ? 'fault' : 'faults'}.`;
  if (faults !== 0) return `${counted} It would not run right.`;
  return looks === 0 ? `${counted} All is as it should be.` : `${counted} It runs.`;
}
