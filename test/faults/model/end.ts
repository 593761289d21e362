import { running, tagOf, release } from './replies.ts';
import { expectEqual, readPage, type Person, type World } from './world.ts';

/** At the end of a run: every page through every server, the device, and the tables themselves. */
export async function expectAll(world: World): Promise<void> {
  await Promise.all(world.people.map((person) => expectPerson(world, person)));
}

async function expectPerson(world: World, person: Person): Promise<void> {
  const { servers, owner } = world.parts;
  const { history, client, device } = person;
  for (const message of running(history)) await release(world, person, message, 0);
  if (device?.isAttached) await device.show();
  await Promise.all(servers.map((_, via) => readPage(world, person, via, { first: 100 })));
  const [rows, tombstones, leases] = await Promise.all([
    owner`select id, message, response, status from chat_history
      where user_id = ${client.userId} order by id`,
    owner`select id from chat_deletions where user_id = ${client.userId} order by id`,
    owner`select message_id from chat_reply_leases where user_id = ${client.userId}`,
  ]);
  const stored = history.messages.map(({ id, message, response, status }) => ({
    id,
    message,
    response,
    status,
  }));
  const byId = (one: { id: string }, other: { id: string }) => (one.id < other.id ? -1 : 1);
  expectEqual('the rows', rows, stored.sort(byId));
  const gone = history.deleted.map(({ id }) => ({ id }));
  expectEqual('the tombstones', tombstones, gone.sort(byId));
  expectEqual('leases of replies that have ended', leases, []);
}

/** Lets go of everything, however a run has ended. */
export function close({ parts, people }: World): void {
  for (const { device, history } of people) {
    device?.cut();
    for (const message of [...history.messages, ...history.deleted]) {
      parts.replies.get(tagOf(message))?.open();
      parts.replies.delete(tagOf(message));
    }
  }
}
