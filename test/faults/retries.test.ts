import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Door } from '../kit/balancer.ts';
import { type Answer, type Any, type Client, clientOf, failureOf, signIn } from '../kit/client.ts';
import { storedHistory } from '../kit/history.ts';
import { type Installation, type Member, startInstallation } from '../kit/installation.ts';
import { isLong, times } from '../kit/promises.ts';
import { createRandom, type Random, SEED } from '../kit/random.ts';
import { report } from '../kit/trials.ts';

/** Of the short form's users each has one message after the other; retries are not counted. */
const PER_MINUTE = 30;
const MESSAGES = 25;
const SEND = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) {
    message { id message response status failure mood moodScore personalityContext createdAt }
  }
}`;
const DELETE = 'mutation ($id: ID!) { deleteMessage(id: $id) }';

let chatkeep: Installation;
/** Whoever asks through it never hears what became of it. */
let deaf: Door;
let violations: string[];

beforeAll(async () => {
  const env = { RATE_LIMIT_PER_MINUTE: `${PER_MINUTE}` };
  chatkeep = await startInstallation({ members: 3, env });
  deaf = await chatkeep.balancer.door();
  deaf.loseAnswers();
});
afterAll(() => chatkeep?.stop());
afterEach(() => {
  chatkeep.gemini.reset();
  chatkeep.postgresGate.open();
});

const anyMember = () => chatkeep.members[0] as Member;

/** So many at the same moment, spread over the three processes. */
function atOnce(
  client: Client,
  count: number,
  input: (n: number) => object,
): Promise<Answer<Any>[]> {
  const { members } = chatkeep;
  return Promise.all(
    Array.from({ length: count }, (_, n) => {
      const member = members[n % members.length] as Member;
      return clientOf(member, client.token).ask<Any>(SEND, { input: input(n) });
    }),
  );
}

/** What an answer says of the message; `at once` leaves out what the reply still changes. */
function told(answer: Answer<Any>): string {
  const message = answer.data?.sendMessage.message;
  if (!message) return failureOf(answer) ?? 'nothing';
  if (message.status === 'COMPLETE') return JSON.stringify(message);
  const { response, status, failure, ...sent } = message;
  return JSON.stringify(sent);
}

/** How often the model was asked for a reply to each text. */
function askedOf(): Map<string, number> {
  const asked = new Map<string, number>();
  for (const { body } of chatkeep.gemini.requests) {
    const text = body.contents.at(-1).parts.at(-1).text;
    asked.set(text, (asked.get(text) ?? 0) + 1);
  }
  return asked;
}

const rowsOf = ({ userId }: Client) => storedHistory(chatkeep.postgres.ownerUrl, userId);

function expectOne(what: string, answers: readonly string[]): void {
  const different = new Set(answers);
  if (different.size !== 1) violations.push(`${what}: ${[...different].join(' and ')}`);
}

describe('a message that is sent again', () => {
  it(`is stored and answered once, when its answers were dropped, SEED=${SEED}`, {
    timeout: times(60_000, 300_000),
  }, async ({ task }) => {
    violations = [];
    let dropped = 0;
    let retried = 0;

    async function sendAndLose(client: Client, random: Random): Promise<string> {
      const awaitReply = random.oneIn(2);
      const context = random.oneIn(3) ? { personalityContext: { b: random.below(9), a: [] } } : {};
      const input = { id: randomUUID(), message: randomUUID(), ...context, awaitReply };
      for (let n = random.below(5); n >= 0; n -= 1) {
        const answer = await clientOf(deaf, client.token)
          .ask(SEND, { input })
          .catch(() => undefined);
        if (answer) violations.push(`an answer came: ${JSON.stringify(answer)}`);
        dropped += 1;
      }
      const count = random.oneIn(10) ? 20 : 3;
      const answers = await atOnce(client, count, () => input);
      retried += count;
      const codes = answers.map((answer) => failureOf(answer) ?? 'ok');
      expectOne(`codes of ${input.id}`, ['ok', ...codes]);
      if (awaitReply) expectOne(`answers to ${input.id}`, answers.map(told));
      else
        expectOne(
          `ids for ${input.id}`,
          answers.map(({ data }) => data?.sendMessage.message.id),
        );
      return input.message;
    }

    const random = createRandom(SEED);
    const users = times(2, 40);
    const abreast = 8;
    for (let done = 0; done < users; done += abreast) {
      const some = Math.min(abreast, users - done);
      chatkeep.gemini.reset();
      const clients = await Promise.all(Array.from({ length: some }, () => signIn(anyMember())));
      const sent = await Promise.all(
        clients.map(async (client) => {
          const own = createRandom(random.below(2 ** 31));
          const texts: string[] = [];
          while (texts.length < MESSAGES) texts.push(await sendAndLose(client, own));
          return texts;
        }),
      );
      await vi.waitFor(() => expect(askedOf().size).toBe(some * MESSAGES), 20_000);
      for (const [text, count] of askedOf()) {
        if (count !== 1) violations.push(`the model was asked ${count} times for ${text}`);
      }
      for (const [i, client] of clients.entries()) {
        const rows = await rowsOf(client);
        expectOne('rows', [rows.map(({ message }) => message).join(), `${sent[i]}`]);
      }
    }
    report({ task }, 'retry', { trials: dropped, of: 'dropped answers', violations });
    report({ task }, 'retry', { trials: retried, of: 'parallel retries', violations: [] });
  });

  it('is no new message to the limit, also when both come at the same moment', async ({ task }) => {
    const bursts = 5;
    const outages = () =>
      chatkeep.members.map((member) => member.output().split('Redis is away').length).join();
    // On a machine that has much to do Redis answers late at times, and then who counts is another one.
    let before: string;
    do {
      violations = [];
      before = outages();
      const me = await signIn(anyMember());
      // Each burst counts for what it is once it is over: one.
      for (let n = 0; n < bursts; n += 1) {
        const input = { id: randomUUID(), message: `${n}`, awaitReply: false };
        expectOne(`burst ${n}`, ['ok', ...(await atOnce(me, 20, () => input)).map(codeOf)]);
      }
      const rest = (n: number) => ({ message: `more ${n}`, awaitReply: false });
      const more = await atOnce(me, PER_MINUTE - bursts, rest);
      expectOne('what is left', ['ok', ...more.map(codeOf)]);
    } while (violations.length > 0 && before !== outages());
    report({ task }, 'retry', { trials: 20 * bursts, of: 'parallel retries', violations });
  });

  it('is refused with another body, from whatever process, whoever comes first', async ({
    task,
  }) => {
    violations = [];
    const trials = times(3, 40);
    for (let n = 0; n < trials; n += 1) {
      const me = await signIn(anyMember());
      const id = randomUUID();
      const bodies = [
        { message: 'one' },
        { message: 'other' },
        { message: 'one', personalityContext: {} },
      ];
      const bodyOf = (i: number) => bodies[Math.floor(i / 2) % bodies.length] as object;
      const input = (i: number) => ({ id, awaitReply: false, ...bodyOf(i) });
      const codes = (await atOnce(me, 20, input)).map(
        (answer, i) => [bodyOf(i), codeOf(answer)] as const,
      );
      const winners = new Set(codes.flatMap(([body, code]) => (code === 'ok' ? [body] : [])));
      if (winners.size !== 1) violations.push(`${winners.size} bodies were stored under ${id}`);
      for (const [body, code] of codes) {
        if (code !== (winners.has(body) ? 'ok' : 'CONFLICT')) violations.push(`${id}: ${code}`);
      }
      expect(await rowsOf(me)).toHaveLength(1);
    }
    report({ task }, 'retry', { trials: 20 * trials, of: 'contested ids', violations });
  });

  it('does not come back once it was deleted, though it is sent again meanwhile', async ({
    task,
  }) => {
    violations = [];
    const trials = times(3, 40);
    for (let n = 0; n < trials; n += 1) {
      const me = await signIn(anyMember());
      const input = { id: randomUUID(), message: randomUUID(), awaitReply: false };
      await clientOf(deaf, me.token)
        .ask(SEND, { input })
        .catch(() => {});
      const meanwhile = atOnce(me, 10, () => input);
      await me.data(DELETE, { id: input.id });
      for (const code of (await meanwhile).map(codeOf)) {
        if (code !== 'ok' && code !== 'CONFLICT') violations.push(`meanwhile: ${code}`);
      }
      const after = await atOnce(me, 10, (i) => (i % 2 ? input : { ...input, message: 'another' }));
      expectOne('after it', ['CONFLICT', ...after.map(codeOf)]);
      if ((await rowsOf(me)).length > 0) violations.push(`${input.id} is there again`);
      const asked = askedOf().get(input.message) ?? 0;
      if (asked > 1) violations.push(`the model was asked ${asked} times for what was deleted`);
    }
    report({ task }, 'retry', { trials: 20 * trials, of: 'retries of deleted ids', violations });
  });

  it('is the same message when the word of its commit was lost', async ({ task }) => {
    violations = [];
    let stored = 0;
    const trials = times(3, 20);
    for (let n = 0; n < trials; n += 1) {
      const me = await signIn(anyMember());
      const gate = chatkeep.postgresGate;
      // On each lane the statements have been prepared then: what is sent goes out in one piece.
      await Promise.all(
        Array.from({ length: 12 }, () => me.data(SEND, { input: { message: 'hello' } })),
      );
      const message = randomUUID();
      const committed = gate.hold();
      // Without an id of the client's own the first commit is that of the message.
      const sending = me.ask<Any>(SEND, { input: { message } });
      await Promise.race([committed, sending]);
      gate.cut();
      gate.open();
      const answer = await sending;
      const id = answer.errors?.[0]?.extensions['id'];
      // Another process' heartbeat may have committed first: then this is an ordinary answer.
      if (answer.data) continue;
      expectOne(`${message}`, ['SERVICE_UNAVAILABLE', codeOf(answer)]);
      const theOne = async () => (await rowsOf(me)).filter((row) => row.message === message).length;
      stored += await theOne();
      // It may have been another one's commit, and nothing is stored: then each counts until it is known to be
      // a copy, and with those from before they have to keep to the limit.
      const again = await atOnce(me, 16, () => ({ id, message, awaitReply: false }));
      expectOne(`again ${message}`, ['ok', ...again.map(codeOf)]);
      expectOne(`ids for ${message}`, [
        `${id}`,
        ...again.map(({ data }) => `${data?.sendMessage.message.id}`),
      ]);
      expect(await theOne()).toBe(1);
      const asked = askedOf().get(message) ?? 0;
      if (asked > 1) violations.push(`the model was asked ${asked} times`);
    }
    report({ task }, 'retry', { trials: stored, of: 'lost commits', violations });
  });

  it('is the same message when the process that took it was killed', {
    timeout: times(60_000, 300_000),
  }, async ({ task }) => {
    violations = [];
    const trials = times(1, 3);
    const given: Promise<unknown>[] = [];
    for (let n = 0; n < trials; n += 1) {
      const [taker, ...others] = chatkeep.members as [Member, Member, Member];
      const me = await signIn(taker);
      const gate = chatkeep.gemini.gate();
      chatkeep.gemini.script({ chunks: ['never'], before: gate.promise });
      const input = { id: randomUUID(), message: randomUUID() };
      const asking = me.ask(SEND, { input }).catch(() => 'lost');
      await vi.waitFor(() => expect(askedOf().get(input.message)).toBe(1), 20_000);
      await taker.kill();
      expectOne('the answer', ['lost', `${await asking}`]);
      gate.open();
      const again = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          clientOf(others[i % 2] as Member, me.token).ask<Any>(SEND, {
            input: { ...input, awaitReply: false },
          }),
        ),
      );
      expectOne(`again ${input.id}`, again.map(told));
      expect(await rowsOf(me)).toMatchObject([{ id: input.id, status: 'PENDING' }]);
      if (isLong) {
        // Who waits is told by the process that finds the reply abandoned: within a minute.
        const waiting = clientOf(others[0], me.token).ask<Any>(SEND, { input });
        const status = waiting.then(({ data }) => data?.sendMessage.message.status);
        given.push(status.then((is) => expectOne(`the reply to ${input.id}`, ['FAILED', is])));
      }
      if (n + 1 < trials) await taker.start();
      const asked = askedOf().get(input.message);
      if (asked !== 1) violations.push(`the model was asked ${asked} times`);
    }
    await Promise.all(given);
    report({ task }, 'retry', { trials, of: 'killed processes', violations });
  });
});

const codeOf = (answer: Answer<unknown>): string => failureOf(answer) ?? 'ok';
