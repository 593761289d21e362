import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Any, type Client, HISTORY, send, signIn } from './kit/client.ts';
import { startServer, type TestServer } from './kit/server.ts';

let server: TestServer;
let me: Client;
beforeAll(async () => {
  server = await startServer();
  me = await signIn(server);
});
afterAll(() => server.stop());

const read = async () => {
  const answer = await me.ask<Any>(HISTORY);
  return {
    newest: answer.data.chatHistory.nodes[0]?.message as string,
    status: answer.headers.get('cache-status'),
  };
};

it('reads a page once for all who miss it at the same time', async () => {
  let collapsed = 0;
  for (let round = 0; round < 10; round += 1) {
    await send(me, `news ${round}`);
    const answers = await Promise.all(Array.from({ length: 20 }, read));
    expect(answers.every(({ newest }) => newest === `news ${round}`)).toBe(true);
    const by = (status: string) => answers.filter((answer) => answer.status === status).length;
    expect(by('chatkeep; fwd=stale; stored') + by('chatkeep; fwd=uri-miss; stored')).toBe(1);
    expect(by('chatkeep; fwd=miss; collapsed') + by('chatkeep; hit')).toBe(19);
    expect((await read()).status).toBe('chatkeep; hit');
    collapsed += by('chatkeep; fwd=miss; collapsed');
  }
  expect(collapsed).toBeGreaterThan(0);
});

it('never shows a page from before an acknowledged send, however many read meanwhile', async () => {
  let acknowledged = 0;
  let writing = true;
  const outcomes = { reads: 0, stale: 0, cached: 0 };
  const reader = async () => {
    while (writing) {
      const floor = acknowledged;
      const { newest, status } = await read();
      outcomes.reads += 1;
      if (Number(newest) < floor) outcomes.stale += 1;
      if (/hit|collapsed/.test(status ?? '')) outcomes.cached += 1;
    }
  };
  const writer = async () => {
    for (let i = 1; i <= 60; i += 1) {
      await send(me, `${i}`, { awaitReply: i % 3 === 0 });
      acknowledged = i;
    }
    writing = false;
  };
  await send(me, '0');
  await Promise.all([writer(), ...Array.from({ length: 6 }, reader)]);
  expect(outcomes.stale).toBe(0);
  expect(outcomes.cached).toBeGreaterThan(10);
  expect((await read()).newest).toBe('60');
});
