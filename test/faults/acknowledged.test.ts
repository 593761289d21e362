import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Door } from '../kit/balancer.ts';
import { type Any, type Client, clientOf, failureOf, signIn } from '../kit/client.ts';
import { readHistory, storedHistory } from '../kit/history.ts';
import { type Installation, type Member, startInstallation } from '../kit/installation.ts';
import { type Call, createLedger, type Ledger } from '../kit/ledger.ts';
import { times } from '../kit/promises.ts';
import { createRandom, type Random, SEED } from '../kit/random.ts';
import { report } from '../kit/trials.ts';

/*
 * Jepsen's set test: unique sends while the parts are killed in turn. Each call is ok, failed or unknown;
 * at the end every ok is there once and in its place, and nothing is there that was refused or never sent.
 */
/** One by one; then five more at once. */
const KILLS = times(2, 24);
const USERS = 6;
/** Of the first user; the others have half of it. */
const WRITERS = 8;
/** Which the first user is the one to reach. */
const PER_MINUTE = 3_000;

const SEND = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { message { id message } }
}`;
const REFUSALS = ['BAD_USER_INPUT', 'CONFLICT', 'RATE_LIMITED'];

interface Person {
  readonly client: Client;
  readonly door: Door;
  readonly ledger: Ledger;
  /** What no client may see, whatever happens. */
  readonly faults: string[];
}

let chatkeep: Installation;
beforeAll(async () => {
  chatkeep = await startInstallation({
    members: 3,
    env: { RATE_LIMIT_PER_MINUTE: `${PER_MINUTE}`, LOG_LEVEL: 'error' },
  });
});
afterAll(() => chatkeep?.stop());

async function arrive(): Promise<Person> {
  const door = await chatkeep.balancer.door();
  const { token, userId } = await signIn(door);
  const client = clientOf(door, token, userId);
  return { client, door, ledger: createLedger(), faults: [] };
}

/** One message after the other, each acknowledged, refused or given up before the next. */
async function write(person: Person, random: Random, round: { over: boolean }): Promise<void> {
  const { client, ledger, faults } = person;
  let taken: string | undefined;

  /** Answers the code of a refusal, 'ok', or the id under which it may be sent again, if that is known. */
  async function tell(call: Call, input: Any): Promise<{ said?: string; id?: string }> {
    const answer = await client.ask<Any>(SEND, { input }).catch(() => undefined);
    if (!answer) return { id: input.id };
    const said = failureOf(answer)?.split(' ')[0] ?? 'ok';
    if (said === 'SERVICE_UNAVAILABLE') {
      const id = answer.errors?.[0]?.extensions['id'] as string | undefined;
      if (!id) faults.push('SERVICE_UNAVAILABLE does not name the id to send it again under');
      return id ? { id } : {};
    }
    if (said !== 'ok' && !REFUSALS.includes(said)) {
      faults.push(`an answer that says nothing: ${JSON.stringify(answer.errors)}`);
      return { id: input.id };
    }
    const stored = answer.data?.sendMessage.message;
    if (said === 'ok' && stored.message !== call.text) faults.push(`${call.text} became another`);
    return { said, id: stored?.id };
  }

  while (!round.over) {
    const call = ledger.begin(randomUUID());
    const own = random.oneIn(4) ? {} : { id: randomUUID() };
    const input: Any = { message: call.text, awaitReply: random.oneIn(4), ...own };
    const isBad = random.oneIn(25);
    const isOther = !isBad && taken !== undefined && random.oneIn(25);
    if (isBad) input.personalityContext = [1];
    if (isOther) input.id = taken;
    let { said, id } = await tell(call, input);
    const first = said;
    // As an outbox does; some are given up, as when a tab is closed.
    while (!said && id && !isBad && !random.oneIn(4)) {
      await sleep(random.below(100));
      ({ said, id = id } = await tell(call, { ...input, id, awaitReply: false }));
    }
    if (said === 'ok' && (isBad || isOther)) faults.push(`${call.text} was not refused`);
    if (said === 'CONFLICT' && !isOther) faults.push(`${call.text}: ${said} for the same message`);
    if (said === 'ok') taken = id;
    if (said === 'ok') ledger.settle(call, 'ok');
    // One that was refused for the limit on its second way may be under way on its first.
    else if (first || (said && said !== 'RATE_LIMITED')) ledger.settle(call, 'failed');
    if (said === 'RATE_LIMITED') await sleep(250);
    if (!said) await sleep(random.below(200));
  }
}

/** Kills one part after the other, each back before the next, in the end everything at once; answers how often. */
async function killInTurn(random: Random, acknowledged: () => number): Promise<number> {
  const { postgres: database, redis, members } = chatkeep;
  let kills = 0;

  async function aWhile(): Promise<void> {
    await sleep(random.below(300));
  }
  async function killServer(member: Member): Promise<void> {
    if (random.oneIn(3)) {
      member.freeze();
      await sleep(random.below(1_000));
    }
    await member.kill();
    kills += 1;
    await member.start();
  }
  async function killPostgres(): Promise<void> {
    const isFrozen = random.oneIn(3);
    if (isFrozen) {
      await database.freeze();
      await sleep(random.below(1_000));
    }
    if (isFrozen && random.oneIn(2)) await database.thaw();
    else {
      await (isFrozen || random.oneIn(2) ? database.kill() : database.stopAtOnce());
      kills += 1;
      await aWhile();
      await database.start();
    }
  }
  async function killRedis(): Promise<void> {
    if (random.oneIn(3)) {
      redis.freeze();
      await sleep(random.below(500));
    }
    await redis.kill();
    kills += 1;
    await aWhile();
    await redis.start();
  }
  async function killAll(): Promise<void> {
    await Promise.all([database.kill(), redis.kill(), ...members.map((member) => member.kill())]);
    kills += 2 + members.length;
    await Promise.all([database.start(), redis.start()]);
    await Promise.all(members.slice(0, times(1, members.length)).map((member) => member.start()));
  }

  /** Nothing is lost where nothing is stored. */
  async function someAreStored(): Promise<void> {
    const enough = acknowledged() + 20 + random.below(times(20, 200));
    while (acknowledged() < enough) await sleep(10);
  }

  for (let turn = 0; kills < KILLS; turn += 1) {
    await someAreStored();
    if (turn % 4 === 1) await killRedis();
    else if (turn % 4 === 2) await killServer(random.pick(members));
    else await killPostgres();
    // What was asked by then is not needed, and is long.
    chatkeep.gemini.reset();
    // Who keeps its connection else never gets to a server that came back.
    chatkeep.balancer.cutOne(random.below);
  }
  await someAreStored();
  await killAll();
  await someAreStored();
  return kills;
}

describe('what was acknowledged', () => {
  it('is only told by a database that keeps it through a crash', async () => {
    const sql = postgres(chatkeep.postgres.url, { max: 1 });
    const settings = await sql`select name, setting from pg_settings
      where name in ('fsync', 'synchronous_commit', 'full_page_writes') order by name`;
    await sql.end();
    expect(settings.map(({ name, setting }) => `${name}=${setting}`)).toEqual([
      'fsync=on',
      'full_page_writes=on',
      'synchronous_commit=on',
    ]);
  });

  it(`is stored once, and in order, whatever is killed, SEED=${SEED}`, {
    timeout: times(120_000, 600_000),
  }, async ({ task }) => {
    const random = createRandom(SEED);
    const people = await Promise.all(Array.from({ length: USERS }, arrive));
    const round = { over: false };
    const writers = people.flatMap((person, i) =>
      Array.from({ length: i === 0 ? WRITERS : WRITERS / 2 }, (_, n) =>
        write(person, createRandom(SEED + 100 * i + n + 1), round),
      ),
    );
    const count = (outcome: Call['outcome']) =>
      people.reduce((sum, { ledger }) => sum + ledger.count(outcome), 0);
    const kills = await killInTurn(random, () => count('ok')).finally(() => {
      round.over = true;
    });
    await Promise.all(writers);

    const violations = people.flatMap(({ faults }) => faults);
    for (const { client, ledger } of people) {
      const shown = await readHistory(client);
      violations.push(...ledger.faultsOf(shown));
      const stored = await storedHistory(chatkeep.postgres.ownerUrl, client.userId);
      const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id).join();
      if (ids(stored) !== ids(shown)) violations.push('the API shows another history than stored');
    }
    report({ task }, 'stored', { trials: count('ok'), of: 'acknowledged sends', violations });
    const others = { kills, 'unknown answers': count('unknown'), refusals: count('failed') };
    for (const [of, trials] of Object.entries(others)) {
      report({ task }, 'stored', { trials, of, violations: [] });
    }
  });
});
