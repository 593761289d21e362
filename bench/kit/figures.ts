import type { Figure } from './bench.ts';

interface Gathered {
  readonly unit: string;
  readonly values: Record<string, number[]>;
}

/** Gathers values round by round, in the order in which their names first came. */
export function createFigures(targets: Readonly<Record<string, Figure['target']>> = {}) {
  const figures = new Map<string, Gathered>();
  return {
    add(name: string, unit: string, contestant: string, value: number): void {
      const { values }: Gathered = figures.get(name) ?? { unit, values: {} };
      figures.set(name, { unit, values });
      values[contestant] ??= [];
      values[contestant].push(value);
    },
    all: (): readonly Figure[] =>
      [...figures].map(([name, figure]) => {
        const target = targets[name];
        return { name, ...figure, ...(target && { target }) };
      }),
  };
}
