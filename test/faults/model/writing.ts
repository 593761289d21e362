import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { command, someone, which, personOf, otherOf, choose } from './command.ts';
import { isSame, type Message, type Context } from './history.ts';
import {
  SEND,
  running,
  tagOf,
  script,
  endings,
  changed,
  inputOf,
  settle,
  release,
} from './replies.ts';
import { opening, words, HELD, context, reply } from './texts.ts';
import {
  FIELDS,
  learnTime,
  count,
  expectMessage,
  expectEqual,
  ask,
  expectThat,
  type World,
} from './world.ts';

/* What two users change. */

const RETRY = `mutation ($id: ID!) { retryReply(id: $id) { ${FIELDS} } }`;
const STOP = `mutation ($id: ID!) { stopReply(id: $id) { ${FIELDS} } }`;
const DELETE = 'mutation ($id: ID!) { deleteMessage(id: $id) }';
const PERSONALITY =
  'mutation ($personality: JSON) { setPersonality(personality: $personality) { id personality } }';

export const sendArgs = fc.record({
  ...someone,
  id: fc.constantFrom('none', 'new', 'new', 'theirs'),
  opening,
  words,
  context,
  reply,
  how: fc.constantFrom('awaited', 'awaited', 'not awaited', 'held', 'twice at once'),
});
type SendArgs = typeof sendArgs extends fc.Arbitrary<infer A> ? A : never;

export async function sendMessage(world: World, args: SendArgs): Promise<void> {
  const { user, via, id: kind, opening, words, context, reply, how } = args;
  const person = personOf(world, { user });
  const { history } = person;
  const tag = world.newTag();
  const message = [opening.text, ...words, tag].join(' ');
  const known = [...history.messages, ...history.deleted].map(({ id }) => id);
  const theirs = otherOf(world, { user }).history.messages.find(({ id }) => !known.includes(id));
  const chosen = kind === 'none' ? undefined : (kind === 'theirs' && theirs?.id) || randomUUID();
  const isHeld = how === 'held' && reply.end !== 'blocked' && reply.end !== 'refused';
  const awaitReply = how === 'awaited' || how === 'twice at once';
  const ending = script(world, tag, reply, isHeld);
  const input = {
    message,
    awaitReply,
    ...(chosen && { id: chosen }),
    ...(context !== undefined && { personalityContext: context }),
  };
  const both = how === 'twice at once' && chosen ? [via, via + 1] : [via];
  const answers = await Promise.all(both.map((at) => ask(world, person, at, SEND, { input })));
  for (const { failed } of answers) expectEqual('sending', failed, undefined);
  const shown = answers.map(({ data }) => data.sendMessage.message);
  const [first] = shown;
  if (chosen) expectEqual('the id', first.id, chosen);
  expectThat('an id that was there', !known.includes(first.id), first.id);
  const sent: Message = {
    id: first.id,
    message,
    mood: opening.mood,
    moodScore: opening.moodScore,
    personalityContext: context === undefined ? history.personality : context,
    byDefault: context === undefined,
    at: learnTime(history, first.createdAt),
    status: 'RUNNING',
    response: isHeld ? HELD : ending.response,
    failed: false,
  };
  history.messages.push(sent);
  history.moment = undefined;
  endings.set(sent, { ending, via: via % world.parts.servers.length });
  if (isHeld) return expectMessage(sent, first);
  if (!awaitReply) {
    // Refused and asked again, it may have ended meanwhile.
    if (answers[0]?.refusals === 0) expectMessage(sent, first);
    changed(history, sent, ending);
    return settle(world, person, sent, via + 1);
  }
  changed(history, sent, ending);
  for (const one of shown) expectMessage(sent, one);
  const times = world.parts.replies.get(tag)?.asked;
  expectEqual('how often the model was asked', times, 1);
}

export const send = command('send', sendArgs, sendMessage);

export const sendAgain = command(
  'sendAgain',
  fc.record({
    ...someone,
    which,
    changed: fc.constantFrom('nothing', 'nothing', 'message', 'context', 'no context'),
  }),
  async (world, { user, via, which, changed }) => {
    const person = personOf(world, { user });
    const { messages, deleted } = person.history;
    const stored = choose([...messages, ...deleted], which) as Message;
    const { input } = inputOf(stored, stored.status !== 'RUNNING');
    const { personalityContext: context, ...rest } = input;
    const message = changed === 'message' ? `${stored.message}!` : stored.message;
    const again = changed === 'context' ? { tone: 'another' } : context;
    const personalityContext = changed === 'no context' ? undefined : again;
    const answer = await ask(world, person, via, SEND, {
      input: { ...rest, message, ...(personalityContext !== undefined && { personalityContext }) },
    });
    const isFine =
      messages.includes(stored) && isSame(stored, message, personalityContext as Context);
    expectEqual(`sending ${stored.id} again`, answer.failed, isFine ? undefined : 'CONFLICT');
    if (isFine) expectMessage(stored, answer.data.sendMessage.message);
  },
  (world, { user }) => {
    const { messages, deleted } = personOf(world, { user }).history;
    return messages.length + deleted.length > 0;
  },
);

export const retryReply = command(
  'retryReply',
  fc.record({ ...someone, which, reply }),
  async (world, { user, via, which, reply }) => {
    const person = personOf(world, { user });
    const { history } = person;
    // Rather one that can be.
    const over = history.messages.filter(({ status }) => /FAILED|STOPPED/.test(status));
    const message = choose(which % 3 > 0 && over.length > 0 ? over : history.messages, which);
    if (!message) {
      const { failed } = await ask(world, person, via, RETRY, { id: randomUUID() });
      return expectEqual('retrying what there is not', failed, 'NOT_FOUND');
    }
    const isOver = over.includes(message);
    const ending = isOver ? script(world, tagOf(message), reply, false) : undefined;
    const answer = await ask(world, person, via, RETRY, { id: message.id });
    if (ending) changed(history, message, { ...ending, isOpenEnded: false });
    // Refused, it may have been done all the same.
    if (ending && answer.refusals > 0 && answer.failed === 'CONFLICT') {
      return settle(world, person, message, via);
    }
    expectEqual('retrying', answer.failed, ending ? undefined : 'CONFLICT');
    if (ending) expectMessage(message, answer.data.retryReply);
  },
);

export const stopReply = command(
  'stopReply',
  fc.record({ ...someone, which }),
  async (world, { user, via, which }) => {
    const person = personOf(world, { user });
    const { history } = person;
    const held = running(history);
    const message = choose(which % 4 > 0 && held.length > 0 ? held : history.messages, which);
    const id = message?.id ?? randomUUID();
    const wasRunning = message?.status === 'RUNNING';
    const answer = await ask(world, person, via, STOP, { id });
    if (!message) return expectEqual('stopping what there is not', answer.failed, 'NOT_FOUND');
    const isFine = wasRunning || message.status === 'STOPPED';
    expectEqual('stopping', answer.failed, isFine ? undefined : 'CONFLICT');
    if (wasRunning) {
      world.parts.replies.get(tagOf(message))?.open();
      changed(history, message, { status: 'STOPPED', failed: false, isOpenEnded: true });
    }
    if (isFine) expectMessage(message, answer.data.stopReply);
  },
);

export const letGo = command(
  'letGo',
  fc.record({ ...someone, which }),
  async (world, { user, via, which }) => {
    const person = personOf(world, { user });
    await release(world, person, choose(running(person.history), which) as Message, via);
  },
  (world, { user }) => running(personOf(world, { user }).history).length > 0,
);

const deleteArgs = fc.record({
  ...someone,
  which,
  whose: fc.constantFrom('own', 'own', 'own', 'theirs', 'gone', 'nobody'),
});
type DeleteArgs = typeof deleteArgs extends fc.Arbitrary<infer A> ? A : never;

export async function deleteOne(
  world: World,
  { user, via, which, whose }: DeleteArgs,
): Promise<void> {
  const person = personOf(world, { user });
  const { history } = person;
  const own = whose === 'own' ? choose(history.messages, which) : undefined;
  const id = own?.id ?? idOf(world, { user, which, whose });
  const answer = await ask(world, person, via, DELETE, { id });
  if (own && answer.refusals > 0 && answer.failed === 'NOT_FOUND') count(world, 'was deleted');
  else expectEqual('deleting', answer.failed, own ? undefined : 'NOT_FOUND');
  if (!own) return;
  world.parts.replies.get(tagOf(own))?.open();
  history.messages = history.messages.filter((message) => message !== own);
  history.deleted.push(own);
  history.moment = undefined;
}

export const deleteMessage = command('deleteMessage', deleteArgs, deleteOne);

/** An id that is not one of the user's messages. */
export function idOf(
  world: World,
  { user, which, whose }: { user: number; which: number; whose: string },
) {
  const { history } = personOf(world, { user });
  const other = otherOf(world, { user }).history.messages;
  const theirs = other.filter(({ id }) => history.messages.every((own) => own.id !== id));
  const from = whose === 'theirs' ? theirs : whose === 'gone' ? history.deleted : [];
  return choose(from, which)?.id ?? randomUUID();
}

export const setPersonality = command(
  'setPersonality',
  fc.record({
    ...someone,
    personality: fc.constantFrom<Context>(null, { tone: 'kind' }, { tone: 'warm' }, {}),
  }),
  async (world, { user, via, personality }) => {
    const person = personOf(world, { user });
    const answer = await ask(world, person, via, PERSONALITY, { personality });
    person.history.personality = personality;
    const shown = { id: person.client.userId, personality };
    expectEqual('the personality', answer.data?.setPersonality, shown);
  },
);

export const viewer = command('viewer', fc.record(someone), async (world, { user, via }) => {
  const person = personOf(world, { user });
  const answer = await ask(world, person, via, '{ viewer { id personality } }', {});
  const { personality } = person.history;
  expectEqual('viewer', answer.data?.viewer, { id: person.client.userId, personality });
});
