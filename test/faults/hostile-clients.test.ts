import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Any, HISTORY } from '../kit/client.ts';
import type { AttackName, Tally } from '../kit/hostile.ts';
import { times } from '../kit/promises.ts';
import { ROOM_MB, type Siege, startSiege } from '../kit/siege.ts';
import { report } from '../kit/trials.ts';

/* People who want nothing but their history are measured, in quiet times and while others mean harm. */

let siege: Siege;

beforeAll(async () => {
  siege = await startSiege();
});
afterAll(() => siege?.stop());

const ASKS = [
  HISTORY,
  '{ viewer { id } }',
  'query ($first: Int) { searchChats(query: "about", first: $first) { nodes { id message } } }',
];

/** How long people's requests take for so many ms; in ms, by rising time. */
async function measure(ms: number): Promise<number[]> {
  const took: number[] = [];
  const until = performance.now() + ms;
  await Promise.all(
    siege.people.map(async (person, i) => {
      for (let n = i; performance.now() < until; n += 1) {
        const begun = performance.now();
        const answer = await person.ask<Any>(ASKS[n % 3] as string, { first: 1 + (n % 40) });
        took.push(performance.now() - begun);
        if (answer.errors) throw new Error(JSON.stringify(answer.errors));
        await sleep(2);
      }
    }),
  );
  return took.sort((a, b) => a - b);
}

const p99 = (sorted: readonly number[]) => sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
const median = (numbers: readonly number[]) =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

type Group = readonly (readonly [AttackName, number])[];

const WRITES: Group = [['writes', times(20, 300)]];

/** What costs as much when nobody means harm, and is done in the quiet time too. */
const USUAL: Readonly<Record<string, Group>> = {
  slow: [['reads', times(4, 12)]],
  paused: WRITES,
};

const GROUPS: Readonly<Record<string, Group>> = {
  slow: [
    ['silent', times(100, 1_000)],
    ['slowHeads', times(100, 500)],
    ['slowBodies', times(100, 500)],
    ['halfOpen', times(40, 200)],
    ['unread', times(4, 12)],
  ],
  paused: [['pausedSockets', times(20, 100)], ['pausedStreams', times(20, 100)], ...WRITES],
  floods: [
    ['noInit', times(100, 1_000)],
    ['oneAddress', times(150, 3_000)],
    ['oneUser', times(120, 1_000)],
  ],
  frames: [
    ['subscribes', times(500, 10_000)],
    ['pings', times(400, 10_000)],
    ['frames', times(6, 30)],
  ],
};

/** What the limits let in, and refuse, of each attack that one is for. */
const EXPECTED: Partial<Record<AttackName, (count: number, tally: Tally) => Tally>> = {
  // Who has not signed in for a while (4408) makes room for another one.
  oneAddress: (count, { 4408: late = 0 }) => ({ open: 100, 429: count - 100 - late }),
  oneUser: (count) => ({ open: 100, 1013: count - 100 }),
  subscribes: (count) => ({ running: 20, refused: count - 20 }),
  writes: (count) => ({ sent: count }),
};

describe('clients that mean harm', () => {
  it('do not slow down anybody else', { timeout: 300_000 }, async ({ task }) => {
    const { attackers, gauges, settled } = siege;
    const violations: string[] = [];
    let trials = 0;
    await measure(times(300, 3_000));
    const before = await gauges();
    const run = async (group: Group) => {
      for (const [attack, count] of group) {
        const tally = await attackers.attack(attack, count);
        trials += tally['tried'] ?? 0;
        for (const [how, wanted] of Object.entries(EXPECTED[attack]?.(count, tally) ?? {})) {
          if (tally[how] !== wanted) violations.push(`${attack}: ${JSON.stringify(tally)}`);
        }
      }
    };
    for (const [name, group] of Object.entries(GROUPS)) {
      const quiet: number[] = [];
      const attacked: number[] = [];
      for (let round = 0; round < times(1, 3); round += 1) {
        const usually = measure(times(400, 3_000));
        await run(USUAL[name] ?? []);
        quiet.push(p99(await usually));
        const measuring = measure(times(600, 3_000));
        await run(group);
        attacked.push(p99(await measuring));
        await attackers.release();
        await settled();
      }
      // Other processes of the machine are in both. One round of few requests can meet anything, hence the
      // room of the short form: a blocked event loop is seen in it, a tenth more is not.
      const [usual, then] = [median(quiet), median(attacked)];
      if (then > Math.max(2 * usual, usual + times(250, 25))) {
        violations.push(
          `${name}: p99 ${then.toFixed(1)} ms, without attack ${usual.toFixed(1)} ms`,
        );
      }
    }
    const after = await gauges();
    if (after.memoryMb > before.memoryMb + ROOM_MB) {
      violations.push(`memory grew from ${before.memoryMb} to ${after.memoryMb} MB`);
    }
    report({ task }, 'clients', { trials, of: 'hostile connections', violations });
  });
});
