import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, it, type TestContext } from 'vitest';
import { type Any, type Client, clientOf, failureOf, SEARCH, SEND, signIn } from '../kit/client.ts';
import { redisIsUp } from '../kit/freshness.ts';
import { type Installation, type Member, startInstallation } from '../kit/installation.ts';
import { times } from '../kit/promises.ts';
import { createRandom, SEED } from '../kit/random.ts';
import { redisAvailable } from '../kit/redis.ts';
import { collect, connect, EVENTS } from '../kit/subscriptions.ts';
import { report } from '../kit/trials.ts';

const MEMBERS = 3;
const TIMEOUT = { timeout: times(60_000, 240_000) };
/** Messages a minute. */
const LIMIT = 12;
/** Within which an event arrives whatever happens to Redis. */
const LIVE_MS = 5_000;
/** What a process waits for Redis to answer a command. */
const COMMAND_TIMEOUT_MS = 150;

/** Requests of which each would ask Redis for its page. */
const BURST = 90;

const PAGE = '{ chatHistory(first: 50) { nodes { id message } } }';
const DELETE = 'mutation ($id: ID!) { deleteMessage(id: $id) }';
const MESSAGE = 'query ($id: ID!) { message(id: $id) { message } }';

const at = (client: Client, member: Member) => clientOf(member, client.token, client.userId);

const linesOf = ({ output }: Member) => output().split('Redis is away').length - 1;

/** What a quarter of the numbers stay below. */
const quartile = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 4)] ?? 0;

/** Calls of so many that a small machine serves them: it is not what is asked of it here. */
async function inWaves<T>(count: number, call: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  while (results.length < count) {
    const size = Math.min(15, count - results.length);
    const first = results.length;
    results.push(...(await Promise.all(Array.from({ length: size }, (_, i) => call(first + i)))));
  }
  return results;
}

/** One user's calls at any process, of which none may fail, and what each had to show. */
function createUser(client: Client, pick: <T>(from: readonly T[]) => T, violations: string[]) {
  const texts = new Map<string, string>();
  const tookMs: number[] = [];

  async function call(member: Member, query: string, variables = {}): Promise<Any> {
    const began = performance.now();
    const { data, errors } = await at(client, member).ask<Any>(query, variables);
    tookMs.push(performance.now() - began);
    if (errors) violations.push(`failed: ${JSON.stringify(errors)}`);
    return data;
  }

  function check(what: string, nodes: readonly Any[] | undefined, word: string): void {
    const found = new Map(nodes?.map(({ id, message }) => [id, message]));
    const wanted = [...texts].filter(([, text]) => text.includes(word));
    if (found.size !== wanted.length || wanted.some(([id, text]) => found.get(id) !== text)) {
      violations.push(`${what} showed ${found.size} messages, and not those ${wanted.length}`);
    }
  }

  return {
    /** Of each call so far. */
    tookMs,
    async send(member: Member, message: string): Promise<void> {
      const id = randomUUID();
      const data = await call(member, SEND, { input: { id, message } });
      texts.set(id, message);
      if (data?.sendMessage.message.status !== 'COMPLETE') violations.push('had no reply');
    },
    async delete(member: Member): Promise<void> {
      const [id] = texts.keys();
      texts.delete(id as string);
      await call(member, DELETE, { id });
    },
    async read(member: Member): Promise<void> {
      check('history', (await call(member, PAGE))?.chatHistory.nodes, '');
    },
    async search(member: Member): Promise<void> {
      const data = await call(member, SEARCH, { query: 'walnut' });
      check(
        'search',
        data?.searchChats.edges.map(({ node }: Any) => node),
        'walnut',
      );
    },
    async message(member: Member): Promise<void> {
      const [id, text] = pick([...texts]);
      const data = await call(member, MESSAGE, { id });
      if (data?.message?.message !== text) violations.push('message showed another text');
    },
  };
}

describe.runIf(redisAvailable)(`Redis away, SEED=${SEED}`, () => {
  let chatkeep: Installation;
  let members: readonly [Member, Member, Member];
  const { pick } = createRandom(SEED);

  beforeAll(async () => {
    chatkeep = await startInstallation({
      members: MEMBERS,
      redisFlags: ['--appendonly', 'yes'],
      env: { RATE_LIMIT_PER_MINUTE: String(LIMIT) },
    });
    members = chatkeep.members as unknown as typeof members;
  });
  afterAll(() => chatkeep?.stop());

  const outages = [
    {
      name: 'killed',
      begin: () => chatkeep.redis.kill(),
      end: () => chatkeep.redis.start(),
    },
    {
      name: 'frozen',
      begin: () => chatkeep.redis.freeze(),
      end: () => chatkeep.redis.thaw(),
    },
    {
      name: 'cut off',
      begin: () => chatkeep.redisGate.shut(),
      end: () => chatkeep.redisGate.open(),
    },
    {
      name: 'behind a firewall that has forgotten all connections',
      begin: () => chatkeep.redisGate.blackHole(),
      end: () => chatkeep.redisGate.open(),
    },
    {
      name: 'too slow',
      begin: () => chatkeep.redisGate.delay(COMMAND_TIMEOUT_MS * 2),
      end: () => chatkeep.redisGate.open(),
    },
  ];

  const newUser = async (violations: string[]) => {
    const client = await signIn(members[0]);
    return { client, ...createUser(client, pick, violations) };
  };

  /** So many messages at all processes; answers how many were accepted. */
  async function flood(client: Client, tries: number, violations: string[]): Promise<number> {
    const input = { message: 'one of very many', awaitReply: false };
    const answers = await inWaves(tries, (n) =>
      at(client, members[n % MEMBERS] as Member).ask<Any>(SEND, { input }),
    );
    for (const answer of answers) {
      const failure = failureOf(answer);
      if (failure && failure !== 'RATE_LIMITED') violations.push(`flood: ${failure}`);
    }
    return answers.filter(({ errors }) => !errors).length;
  }

  /** From a message at one process to the device at another. */
  async function listenTo({ client }: { client: Client }) {
    const events = collect(connect(members[2], client.token), EVENTS);
    await events.first(({ data }) => data?.chatEvents.__typename === 'CaughtUp');
    return async (): Promise<number> => {
      const began = performance.now();
      const input = { message: 'to another process', awaitReply: false };
      const { sendMessage } = await at(client, members[1]).data<Any>(SEND, { input });
      const { id } = sendMessage.message;
      await events.first(({ data }) => data?.chatEvents.message?.id === id);
      return performance.now() - began;
    };
  }

  async function outlive(
    context: Pick<TestContext, 'task'>,
    { begin, end }: (typeof outages)[number],
    rounds: number,
  ): Promise<void> {
    const { redis, redisGate } = chatkeep;
    const violations: string[] = [];
    const user = await newUser(violations);
    const listener = await newUser(violations);
    // Who comes once it is known that Redis is away, leaves nothing there.
    const late = await newUser(violations);
    const many = await newUser(violations);
    await user.send(members[0], 'before, walnut');
    for (const member of members) await user.read(member);
    const floodedAt = performance.now();
    let accepted = await flood(many.client, LIMIT / 2, violations);
    const timeLive = await listenTo(listener);
    await Promise.all(members.map(redisIsUp));
    const linesBefore = members.map(linesOf);
    const before = user.tookMs.length;

    await begin();
    // Each process finds it out for itself.
    await Promise.all(members.map((member) => user.read(member)));
    const askedBefore = redisGate.asked;
    const knownAt = performance.now();
    await inWaves(BURST, (n) => user.read(members[n % MEMBERS] as Member));
    const asked = redisGate.asked - askedBefore;
    // Asking whether Redis is back, and the handshakes of new connections.
    const mayAsk = MEMBERS * (3 + (performance.now() - knownAt) / 150);
    if (asked > mayAsk) violations.push(`asked ${asked} times for ${BURST} requests`);
    const alone = user.tookMs.length;
    const liveMs = timeLive();
    for (let round = 0; round < rounds; round += 1) {
      if (round % 5 === 0) {
        // At each in turn, to stay within the limit.
        const member = members[(round / 5) % MEMBERS] as Member;
        await user.send(member, round % 10 ? `during ${round}` : `walnut ${round}`);
      }
      if (round % 15 === 10) await user.delete(pick(members));
      await user.read(pick(members));
      await user.search(pick(members));
      await user.message(pick(members));
    }
    // If each waited for an answer, the fastest would take at least the whole. A busy machine makes others
    // slow too, but not the fastest.
    const fastMs = quartile(user.tookMs.slice(alone));
    if (fastMs > COMMAND_TIMEOUT_MS * 0.75) {
      violations.push(`the faster ones took ${Math.round(fastMs)} ms too`);
    }
    await late.send(members[1], 'while it is known');
    await late.read(members[2]);
    const tries = LIMIT * (MEMBERS + 1);
    accepted += await flood(many.client, tries, violations);
    if ((await liveMs) > LIVE_MS) violations.push(`an event came after ${await liveMs} ms`);
    const trials = user.tookMs.length - before + late.tookMs.length + tries + 1;

    await end();
    await Promise.all(members.map(redisIsUp));
    const traces = await redis.client.keys(`*{${late.client.userId}}*`);
    if (traces.length > 0) violations.push(`done after the outage: ${traces}`);
    for (const member of members) {
      await user.read(member);
      await user.send(member, 'after');
    }
    accepted += await flood(many.client, MEMBERS, violations);
    const isWithinMinute = performance.now() - floodedAt < 50_000;
    if (accepted < LIMIT || (isWithinMinute && accepted > LIMIT * MEMBERS)) {
      violations.push(`${accepted} messages of a minute were accepted`);
    }

    const lines = members.map((member, i) => linesOf(member) - (linesBefore[i] as number));
    if (lines.some((n) => n !== 1)) violations.push(`lines of each process: ${lines}`);
    report(context, 'withoutRedis', { trials, of: 'requests while it was away', violations });
  }

  it.for(outages)('harms nobody when it is $name', TIMEOUT, async (how, { task }) => {
    await outlive({ task }, how, times(12, 120));
  });

  it('harms nobody when it ends all connections again and again', TIMEOUT, async ({ task }) => {
    const violations: string[] = [];
    let trials = 0;
    for (let i = 0; i < times(1, 20); i += 1) {
      const user = await newUser(violations);
      await user.send(members[0], 'before, walnut');
      const before = user.tookMs.length;
      chatkeep.redisGate.halfClose();
      await user.send(pick(members), i % 2 ? 'another' : 'another walnut');
      await Promise.all(members.flatMap((member) => [user.read(member), user.search(member)]));
      await user.delete(pick(members));
      await Promise.all(members.flatMap((member) => [user.read(member), user.search(member)]));
      trials += user.tookMs.length - before;
      await Promise.all(members.map(redisIsUp));
    }
    report({ task }, 'withoutRedis', { trials, of: 'requests while it was away', violations });
  });
});
