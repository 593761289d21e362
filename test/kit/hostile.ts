import { fork } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { AttackName, Order, Tally } from './hostile-child.ts';

export type { AttackName, Tally };

/** A process full of clients that mean harm. */
export interface Attackers {
  /** Resolves once all that belongs to it is under way; what is open stays open until `release`. */
  attack(name: AttackName, count: number): Promise<Tally>;
  release(): Promise<void>;
  stop(): Promise<void>;
}

const script = fileURLToPath(new URL('./hostile-child.ts', import.meta.url));

export function startAttackers({ url, tokens }: Pick<Order, 'url' | 'tokens'>): Attackers {
  const child = fork(script, { execArgv: ['--import', 'tsx'] });
  // They have machines of their own: what they cost themselves is nothing that the server could help.
  if (child.pid) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  const waiting = new Map<number, (answer: { tally?: Tally; error?: string }) => void>();
  let last = 0;
  child.on('message', ({ id, ...answer }: { id: number; tally?: Tally; error?: string }) => {
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });

  async function order(attack: Order['attack'], count: number): Promise<Tally> {
    last += 1;
    const id = last;
    const answered = new Promise<{ tally?: Tally; error?: string }>((resolve) => {
      waiting.set(id, resolve);
    });
    child.send({ id, order: { attack, count, url, tokens } satisfies Order });
    const { tally = {}, error } = await answered;
    if (error) throw new Error(error);
    return tally;
  }

  return {
    attack: order,
    release: async () => void (await order('release', 0)),
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
