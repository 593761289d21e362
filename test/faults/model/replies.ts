import type { Behaviour } from '../../kit/gemini-server.ts';
import type { History, Message } from './history.ts';
import { HELD, type Reply } from './texts.ts';
import { FIELDS, expectMessage, expectEqual, ask, type Person, type World } from './world.ts';

/* Replies that are being written, and what becomes of them. */

export const SEND = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { ${FIELDS} } } }`;

export const running = ({ messages }: History) =>
  messages.filter(({ status }) => status === 'RUNNING');
export const tagOf = ({ message }: Message) => message.slice(message.lastIndexOf('#'));

/** Tells the model what to say, and answers what must come of it. */
export function script(world: World, tag: string, { words, end }: Reply, isHeld: boolean) {
  const text = words.join(' ');
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const chunks = [
    ...(isHeld ? [HELD] : []),
    ...words.map((word, i) => (i > 0 ? ` ${word}` : word)),
  ];
  const behaviour: Behaviour =
    end === 'blocked'
      ? { blocked: 'SAFETY' }
      : end === 'refused'
        ? { status: 400 }
        : { chunks, end, ...(isHeld && { afterFirst: gate }) };
  const asked = world.parts.replies.get(tag)?.asked ?? 0;
  world.parts.replies.set(tag, { behaviour, open, asked });
  const isComplete = end === 'STOP' || end === 'MAX_TOKENS';
  const isEmpty = end === 'blocked' || end === 'refused';
  return {
    status: isComplete ? ('COMPLETE' as const) : ('FAILED' as const),
    response: isEmpty ? '' : `${isHeld ? HELD : ''}${text}`,
    failed: end !== 'STOP',
  };
}

type Ending = ReturnType<typeof script>;

/** What will have become of replies that are held, once they are let go. */
export const endings = new WeakMap<Message, { ending: Ending; via: number }>();

export function changed(history: History, message: Message, what: Partial<Message>): void {
  Object.assign(message, { failure: undefined, updatedAt: undefined }, what);
  history.moment = undefined;
}

export const inputOf = (
  { id, message, byDefault, personalityContext }: Message,
  awaitReply: boolean,
) => ({
  input: { id, message, awaitReply, ...(!byDefault && { personalityContext }) },
});

/** Waits for the end of a reply, by sending the same again, and compares it. */
export async function settle(
  world: World,
  person: Person,
  message: Message,
  via: number,
): Promise<void> {
  const answer = await ask(world, person, via, SEND, inputOf(message, true));
  expectEqual('waiting for a reply', answer.failed, undefined);
  expectMessage(message, answer.data.sendMessage.message);
}

/** Lets go of a reply that was held. */
export async function release(world: World, person: Person, message: Message, via: number) {
  const { ending } = endings.get(message) as { ending: Ending };
  world.parts.replies.get(tagOf(message))?.open();
  changed(person.history, message, ending);
  await settle(world, person, message, via);
}
