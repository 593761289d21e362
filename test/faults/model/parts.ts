import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { type Command, command, personOf } from './command.ts';
import { calm } from './commands.ts';
import type { Message } from './history.ts';
import { SEND, running, tagOf, script, endings, changed, settle, release } from './replies.ts';
import { opening, words, reply } from './texts.ts';
import {
  learnTime,
  expectMessage,
  expectEqual,
  ask,
  readPage,
  type Person,
  type World,
} from './world.ts';

/* What happens to the parts meanwhile. */

const fault = (name: string, happen: (world: World) => unknown) =>
  command(
    name,
    fc.constant({}),
    async (world) => {
      await happen(world);
    },
    ({ parts }) => parts.faults !== undefined,
  );

const POSTGRES_BACK_MS = 2_000;

/** PostgreSQL may refuse while this goes on, and until its first success after that, within 2 s. */
async function hurting({ parts }: World, act: () => unknown): Promise<void> {
  parts.hurtUntil = Number.POSITIVE_INFINITY;
  await act();
  parts.hurtUntil = performance.now() + POSTGRES_BACK_MS;
}

/** Everybody asks once: a process that alone does not notice may go by its lease, for five seconds. */
async function everybodyNotices(world: World): Promise<void> {
  const { parts, people } = world;
  await Promise.all(parts.servers.map((_, via) => readPage(world, people[0], via, { first: 1 })));
}

const detachFrom = (world: World, via: number) => {
  for (const { device } of world.people) if (device?.via === via) device.cut();
};

const restart = command('restart', fc.record({ server: fc.nat(1) }), async (world, { server }) => {
  const { parts, people } = world;
  const stopped = parts.faults?.restart(server);
  // It lets replies end that it is writing, for ten seconds.
  for (const person of people) {
    for (const message of running(person.history))
      await release(world, person, message, server + 1);
  }
  await stopped;
  detachFrom(world, server);
});

async function killLast(world: World): Promise<void> {
  const { parts, people } = world;
  const last = parts.servers.length - 1;
  await parts.faults?.kill();
  detachFrom(world, last);
  for (const person of people) {
    for (const message of running(person.history)) {
      if (endings.get(message)?.via !== last) continue;
      await endReplyLease(world, person, message);
      parts.replies.get(tagOf(message))?.open();
      changed(person.history, message, { status: 'FAILED', failed: true, isOpenEnded: true });
      await settle(world, person, message, last + 1);
    }
  }
}

/** As if the half minute was over for which a server that writes a reply has its lease. */
async function endReplyLease({ parts }: World, { client }: Person, { id }: Message): Promise<void> {
  await parts.owner`update chat_reply_leases set expires_at = now()
    where user_id = ${client.userId} and message_id = ${id}`;
}

const kill = fault('kill', killLast);

/** The server dies with the message in its hands: it is sent again elsewhere, and there once. */
const sendIntoKill = command(
  'sendIntoKill',
  fc.record({ user: fc.nat(1), opening, words, reply, ms: fc.nat(40) }),
  async (world, { user, opening, words, reply, ms }) => {
    const person = personOf(world, { user });
    const { history } = person;
    const last = world.parts.servers.length - 1;
    const tag = world.newTag();
    const message = [opening.text, ...words, tag].join(' ');
    const input = { id: randomUUID(), message };
    const ending = script(world, tag, reply, false);
    const sending = ask(world, person, last, SEND, { input }).catch(() => undefined);
    await sleep(ms);
    await killLast(world);
    const first = (await sending)?.data.sendMessage.message;
    const unawaited = { ...input, awaitReply: false };
    const again = await ask(world, person, 0, SEND, { input: unawaited });
    expectEqual('sending once more', again.failed, undefined);
    const sent: Message = {
      ...input,
      mood: opening.mood,
      moodScore: opening.moodScore,
      personalityContext: history.personality,
      byDefault: true,
      at: learnTime(history, again.data.sendMessage.message.createdAt),
      status: 'RUNNING',
      response: ending.response,
      failed: false,
    };
    history.messages.push(sent);
    await endReplyLease(world, person, sent);
    const ended = await ask(world, person, 1, SEND, { input });
    const shown = ended.data.sendMessage.message;
    // Without an answer, the reply may have been given up, whoever wrote it.
    const isWhole = first || (shown.status === ending.status && shown.response === ending.response);
    const givenUp = { status: 'FAILED', failed: true, isOpenEnded: true } as const;
    changed(history, sent, isWhole ? ending : givenUp);
    for (const one of first ? [first, shown] : [shown]) expectMessage(sent, one);
  },
  ({ parts }) => parts.faults !== undefined,
);

const healRedis = fault('healRedis', ({ parts }) => parts.faults?.healRedis());

/** The same, while the parts are hurt. */
export const hurt: fc.Arbitrary<Command>[] = [
  ...calm,
  ...calm,
  fault('killRedis', ({ parts }) => parts.faults?.killRedis()),
  fault('freezeRedis', async (world) => {
    await world.parts.faults?.freezeRedis();
    await everybodyNotices(world);
  }),
  ...[healRedis, healRedis],
  fault('flushRedis', ({ parts }) => parts.faults?.flushRedis()),
  fault('killSubscribers', ({ parts }) => parts.faults?.killSubscribers()),
  fault('cutRedis', ({ parts }) => parts.faults?.cutRedis()),
  fault('cutPostgres', (world) => hurting(world, () => world.parts.faults?.cutPostgres())),
  fault('terminateBackends', (world) =>
    hurting(world, () => world.parts.faults?.terminateBackends()),
  ),
  ...[restart, kill, sendIntoKill],
];

/** PostgreSQL's own end takes longer. */
export const crashPostgres = fault('crashPostgres', (world) =>
  hurting(world, () => world.parts.faults?.crashPostgres()),
);
