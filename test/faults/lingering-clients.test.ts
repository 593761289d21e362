import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest';
import { times } from '../kit/promises.ts';
import { LIMITS, ROOM_MB, type Siege, startSiege } from '../kit/siege.ts';
import { report } from '../kit/trials.ts';

/** How many connections this test asks its own questions over. */
const OWN = 2;

let siege: Siege;

beforeAll(async () => {
  siege = await startSiege();
});
afterAll(() => siege?.stop());
beforeEach(async () => {
  await siege.attackers.release();
  await siege.settled();
});

describe.sequential('clients that hold on to what they have', () => {
  it('leave nothing behind, however they go', { timeout: 200_000 }, async ({ task }) => {
    const { attackers, gauges, settled } = siege;
    const violations: string[] = [];
    const count = times(120, 1_000);
    await attackers.attack('churn', count / 10);
    await attackers.release();
    await settled();
    const before = await gauges();
    const { tried = 0 } = await attackers.attack('churn', count);
    // Those that answer no more hold their connections; the others are gone.
    await sleep(2 * LIMITS.pingMs + 1_000);
    const silent = (await gauges()).subscriptions;
    if (silent > 0) violations.push(`${silent} subscriptions are left while connections are held`);
    await attackers.release();
    await settled();
    const { memoryMb } = await gauges();
    if (memoryMb > before.memoryMb + ROOM_MB) {
      violations.push(`memory grew from ${before.memoryMb} to ${memoryMb} MB`);
    }
    report({ task }, 'clients', { trials: tried, of: 'subscriptions destroyed', violations });
  });

  it('do not keep a connection by saying little', { timeout: 200_000 }, async ({ task }) => {
    const { attackers, gauges } = siege;
    const violations: string[] = [];
    let trials = 0;
    const before = (await gauges()).connections;
    let most = 0;
    for (const attack of ['silent', 'slowHeads', 'slowBodies', 'unread', 'noInit'] as const) {
      const count = attack === 'unread' ? 20 : times(20, 100);
      await attackers.attack(attack, count);
      trials += count;
      most = Math.max(most, (await gauges()).connections - before);
    }
    if (most < 16) violations.push(`only ${most} connections were open`);
    const longest = Math.max(LIMITS.headMs, LIMITS.requestMs, LIMITS.stillMs);
    const deadline = performance.now() + 1.5 * longest + 10_000;
    // The attackers have not let go of theirs.
    const left = async () => (await gauges()).connections - before;
    while ((await left()) > OWN && performance.now() < deadline) await sleep(100);
    if ((await left()) > OWN) violations.push(`${await left()} connections are still open`);
    report({ task }, 'clients', { trials, of: 'slow connections', violations });
  });
});
