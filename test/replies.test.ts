import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Claims, createDatabase } from '../src/db/database.ts';
import { createMessageStore, type MessageStore } from '../src/db/messages.ts';
import { createReplyStore, type ReplyStore } from '../src/db/replies.ts';
import { createTestDatabase } from './kit/database.ts';

let admin: postgres.Sql;
let messages: MessageStore;
let replies: ReplyStore;
let me: Claims;
beforeEach(async () => {
  const { url, ownerUrl } = await createTestDatabase();
  admin = postgres(ownerUrl, { max: 2, onnotice: () => {} });
  onTestFinished(() => admin.end());
  const database = createDatabase({ url });
  onTestFinished(() => database.close());
  messages = createMessageStore(database);
  replies = createReplyStore(database);
  me = { sub: randomUUID() };
});

/** A message whose reply nobody writes any more, as far as its lease says. */
async function abandoned() {
  const [messageId, token] = [randomUUID(), randomUUID()];
  const said = {
    message: 'hello',
    personalityContext: null,
    mood: 'NEUTRAL',
    moodScore: 0,
  } as const;
  await messages.insert(me, { ...said, id: messageId, token, leaseMs: 0 });
  return { userId: me.sub, messageId, token };
}

const GONE = { status: 'FAILED', failure: 'It went away.' } as const;
const LATE = { status: 'COMPLETE', response: 'after all', failure: null } as const;

/** How many statements wait for a lock. */
async function waiting(): Promise<number> {
  const [found] = await admin`select count(*)::int as n from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`;
  return found?.['n'];
}

describe('a reply that is given up', () => {
  it('ends once, though its writer gives a sign of life in the midst of it', async () => {
    const reply = await abandoned();
    const { messageId: id, token } = reply;
    // Between finding the lease run out and deleting it, the end waits for the message.
    const lock = await admin.reserve();
    await lock`begin`;
    await lock`select from chat_history where id = ${id} for update`;
    const giving = replies.abandon(me, reply, GONE);
    await expect.poll(waiting).toBe(1);
    let isBeaten = false;
    const beating = replies.beat([token], 60_000).finally(() => {
      isBeaten = true;
    });
    await expect.poll(async () => isBeaten || (await waiting()) === 2).toBe(true);
    await lock`commit`;
    lock.release();

    expect(await giving).toMatchObject(GONE);
    expect(await beating).toEqual([]);
    expect(await replies.finish(me, id, token, LATE)).toBeUndefined();
    expect(await messages.find(me, id)).toMatchObject(GONE);
  });

  it('is not given up when that sign came first', async () => {
    const reply = await abandoned();
    expect(await replies.beat([reply.token], 60_000)).toHaveLength(1);
    expect(await replies.abandon(me, reply, GONE)).toBeUndefined();
    expect(await replies.finish(me, reply.messageId, reply.token, LATE)).toMatchObject(LATE);
  });
});
