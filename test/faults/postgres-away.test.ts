import { afterAll, beforeAll, describe, it } from 'vitest';
import { clientOf, failureOf, HISTORY, signIn } from '../kit/client.ts';
import { type Installation, startInstallation } from '../kit/installation.ts';
import { times } from '../kit/promises.ts';
import { report } from '../kit/trials.ts';

let chatkeep: Installation;
beforeAll(async () => {
  chatkeep = await startInstallation();
});
afterAll(() => chatkeep?.stop());

describe('PostgreSQL away', () => {
  it('is a clear error, and nothing is left of it afterwards', async ({ task }) => {
    const violations: string[] = [];
    const trials = times(2, 20);
    const me = await signIn(chatkeep.members[0] as { url: string });
    for (let n = 0; n < trials; n += 1) {
      await chatkeep.postgres.kill();
      const away = await me.ask(HISTORY, { first: 10 + n });
      if (failureOf(away) !== 'SERVICE_UNAVAILABLE')
        violations.push(`while away: ${JSON.stringify(away)}`);
      await chatkeep.postgres.start();
      const back = await clientOf(chatkeep.members[0] as { url: string }, me.token).ask(HISTORY);
      if (back.errors) violations.push(`once back: ${JSON.stringify(back.errors)}`);
    }
    report({ task }, 'withoutPostgres', { trials, of: 'kills', violations });
  });
});
