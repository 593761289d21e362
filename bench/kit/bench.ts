/** What a part of the bench works with. */
export interface Bench {
  readonly rounds: number;
  /** How long a window of measuring is. */
  readonly seconds: number;
  readonly sockets: number;
  /** Among how many is searched. */
  readonly messages: number;
  /** How long the mixed load goes on. */
  readonly minutes: number;
  /** Which contestants take part; all of them without. */
  readonly contestants: readonly string[] | undefined;
  /** Where CPU profiles go, if somebody wants them. */
  readonly profiles: string | undefined;
  /** Says where it is. */
  progress(where: string): void;
  /** Has something stopped at the end, the last one first. */
  onStop(stop: () => unknown): void;
}

/** One line of the table. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  /** By contestant, a value for each round. */
  readonly values: Readonly<Record<string, readonly number[]>>;
  readonly target?: Target;
}

/** What is promised of chatkeep: at most so many times the floor, at most a value, or at least one of them. */
export type Target =
  | { readonly ratio: number }
  | { readonly value: number }
  | { readonly atLeast: number }
  | { readonly atLeastValue: number };

export interface Report {
  readonly title: string;
  /** Name and description, in order; the first one is the floor. */
  readonly contestants: Readonly<Record<string, string>>;
  /** Of which contestant the targets are promised; chatkeep without. */
  readonly promised?: string;
  readonly figures: readonly Figure[];
  readonly notes: readonly string[];
  /** What else was measured, for the part `scale`. */
  readonly costs?: readonly Figure[];
}

/** A part measures and answers what it found, or prints what it has to say by itself. */
export type Part = (bench: Bench) => Promise<Report | undefined>;
