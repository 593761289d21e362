import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clientOf, failureOf } from '../kit/client.ts';
import {
  createFreshness,
  DELETE,
  type Entry,
  type Freshness,
  LEASE_MS,
  type Person,
  redisIsUp,
} from '../kit/freshness.ts';
import { type Installation, type Member, startInstallation } from '../kit/installation.ts';
import { isLong, times } from '../kit/promises.ts';
import { createRandom, SEED } from '../kit/random.ts';
import { redisAvailable } from '../kit/redis.ts';
import { report } from '../kit/trials.ts';

const CROWD = 3;
/** A crowd that met fewer cached pages would show nothing. */
const HIT_SHARE = 0.1;
const TIMEOUT = { timeout: times(60_000, 240_000) };
/** Who is looked at closely when one thing happens to one process. */
const WITNESSES = times(2, 4);
/** Between two changes of a person, at most. */
const PAUSE_MS = 150;

describe.runIf(redisAvailable)(`a page after an acknowledgement, SEED=${SEED}`, () => {
  let chatkeep: Installation;
  let fresh: Freshness;
  let admin: postgres.Sql;
  let crowd: Person[];
  const random = createRandom(SEED);
  const members = () => chatkeep.members;

  beforeAll(async () => {
    chatkeep = await startInstallation({
      members: 3,
      ownRedisGates: true,
      // What Redis had written, it has again when it comes back.
      redisFlags: ['--appendonly', 'yes'],
      // Each process says when it is without Redis, and when no more.
      env: { LOG_LEVEL: 'info' },
    });
    admin = postgres(chatkeep.postgres.ownerUrl, { max: 4, onnotice: () => {} });
    const begun = new Set<string>();
    chatkeep.gemini.choose((words) => {
      if (!words.startsWith('slow') || begun.has(words)) return undefined;
      begun.add(words);
      return { chunks: ['It takes '], end: 'stall' };
    });
  });
  beforeEach(async () => {
    await Promise.all(members().map(redisIsUp));
    fresh = createFreshness(members(), random);
    // Others than before: what a test has done to their pages may last for a lease.
    crowd = await Promise.all(Array.from({ length: CROWD }, fresh.newPerson));
    for (const person of crowd) await fresh.send(person, members()[0] as Member);
  });
  afterEach(async () => {
    await fresh.stop();
    for (const { redisGate } of members()) redisGate.open();
  });
  afterAll(async () => {
    await admin?.end();
    await chatkeep?.stop();
  });

  /** What this has put to the test; readers who met no cached page would show nothing. */
  function tell(
    { task }: Parameters<typeof report>[0],
    { hitShare = 0, also = [] as readonly string[], isForgiving = true } = {},
  ): void {
    const { reads, hits } = fresh.count;
    const { violations } = fresh.judge({ isForgiving });
    report({ task }, 'fresh', {
      trials: reads,
      of: 'reads',
      violations: [...new Set(violations), ...also],
    });
    expect(hits / reads, `hits of ${reads} reads`).toBeGreaterThan(hitShare);
  }

  /** A few messages, and all pages of them in the cache. */
  async function newWitness(): Promise<Person> {
    const person = await fresh.newPerson();
    for (let i = 0; i < 2; i += 1) await fresh.send(person, random.pick(members()));
    await fresh.warm(person, ['history', 'replies'], members());
    return person;
  }
  const newWitnesses = () => Promise.all(Array.from({ length: WITNESSES }, newWitness));

  /** The older of a witness' messages. */
  const removeOne = (person: Person, member: Member) =>
    fresh.remove(person, member, [...person.entries.values()][0] as Entry);

  /**
   * Has a process send a message for each, and lets something happen when all are about to be stored: all
   * that comes before that is done, all that comes after it is not.
   */
  async function sendAround(
    member: Member,
    people: readonly Person[],
    happens: () => unknown,
  ): Promise<{ entries: () => Entry[]; answered: Promise<unknown> }> {
    const before = new Set(people.flatMap(({ entries }) => [...entries.keys()]));
    const users = people.map(({ userId }) => userId);
    const lock = await admin.reserve();
    await lock`begin`;
    await lock`select from chat_counters where user_id = any(${users}) for update`;
    const sends = people.map((person) => fresh.send(person, member, { awaitReply: false }));
    const waiting = async () => {
      const [found] = await admin`select count(*)::int as n from pg_stat_activity
        where application_name = 'chatkeep' and wait_event_type = 'Lock'`;
      return found?.['n'];
    };
    // PostgreSQL lets nobody wait for longer than 3 s.
    const end = performance.now() + 2_000;
    while ((await waiting()) < people.length && performance.now() < end) await sleep(2);
    await happens();
    await lock`commit`;
    lock.release();
    return {
      entries: () =>
        people.map(
          ({ entries }) => [...entries.values()].find(({ id }) => !before.has(id)) as Entry,
        ),
      answered: Promise.all(sends),
    };
  }

  /** Once all are stored; not at all where PostgreSQL did not get to it in time. */
  async function stored(entries: readonly Entry[]): Promise<void> {
    const ids = entries.map(({ id }) => id);
    const end = performance.now() + 3_000;
    while (performance.now() < end) {
      const [found] =
        await admin`select count(*)::int as n from chat_history where id = any(${ids})`;
      if (found?.['n'] === ids.length) return;
      await sleep(1);
    }
  }

  /** Once all are gone for good. */
  async function deleted(entries: readonly Entry[]): Promise<void> {
    const ids = entries.map(({ id }) => id);
    await expect
      .poll(() => admin`select from chat_deletions where id = any(${ids})`, { interval: 1 })
      .toHaveLength(ids.length);
  }

  /** Once everybody sees each message that may have been stored, wherever they read. */
  async function seenBy(
    at: readonly Member[],
    people: readonly Person[],
    entries: readonly Entry[],
  ) {
    await Promise.all(
      people.map(async (person, i) => {
        const { id } = entries[i] as Entry;
        const end = performance.now() + 2 * LEASE_MS;
        for (const member of at) {
          while (!(await fresh.read(person, member, 'history'))?.shown.has(id)) {
            if (performance.now() > end) return;
            await sleep(1);
          }
        }
      }),
    );
  }

  /** Everything that is a cut, by what it does to the way of one process. */
  const cuts = {
    'is shut': (member: Member) => member.redisGate.shut(),
    'swallows everything': (member: Member) => member.redisGate.blackHole(),
    'keeps all answers back': (member: Member) => void member.redisGate.hold(),
    'is cut for a moment': (member: Member) => member.redisGate.cut(),
  };

  it('is new, however late pages are filled', TIMEOUT, async ({ task }) => {
    fresh.start(crowd, PAUSE_MS);
    const end = performance.now() + times(2_000, 20_000);
    while (performance.now() < end) {
      chatkeep.postgresGate.delay(random.oneIn(3) ? random.below(80) : 0);
      for (const { redisGate } of members()) {
        redisGate.delay(random.oneIn(3) ? random.below(30) : 0);
      }
      await sleep(random.below(300));
    }
    await fresh.stop();
    chatkeep.postgresGate.open();
    for (const { redisGate } of members()) redisGate.open();
    tell({ task }, { hitShare: HIT_SHARE });
  });

  it(
    'is new when processes stand still, also between commit and lease',
    TIMEOUT,
    async ({ task }) => {
      fresh.start(crowd, PAUSE_MS);
      for (let i = 0; i < times(1, 8); i += 1) {
        const member = random.pick(members());
        const witnesses = await newWitnesses();
        const { entries, answered } = await sendAround(member, witnesses, () => member.freeze());
        await stored(entries());
        // Longer than a command may take, and shorter than ioredis gives it at most.
        await sleep(250 + random.below(550));
        member.thaw();
        await answered;
        await Promise.all(witnesses.map(fresh.readEverywhere));
      }
      await fresh.stop();
      tell({ task }, { hitShare: HIT_SHARE });
    },
  );

  it(
    'is new while Redis is frozen or killed, and when it is back with its old pages',
    TIMEOUT,
    async ({ task }) => {
      fresh.start(crowd, PAUSE_MS);
      const first = random.below(2);
      for (let i = 0; i < times(1, 4); i += 1) {
        // Not the crowd, who might write just then: what has been in the cache when Redis came to grief.
        const witnesses = await newWitnesses();
        const isFrozen = (first + i) % 2 === 0;
        if (isFrozen) chatkeep.redis.freeze();
        else await chatkeep.redis.kill();
        // So long that each process has found it out.
        const awayMs = 500 + random.below(times(200, 1_500));
        await Promise.all([
          sleep(awayMs),
          ...witnesses.map((one) => removeOne(one, random.pick(members()))),
        ]);
        if (isFrozen) chatkeep.redis.thaw();
        else await chatkeep.redis.start();
        await Promise.all(members().map(redisIsUp));
        await Promise.all(witnesses.map(fresh.readEverywhere));
        // The short form looks at the time in which old leases are there, the long form also at that when
        // they are trusted again.
        await sleep(isLong ? LEASE_MS + 1_500 : 300);
      }
      await fresh.stop();
      tell({ task }, { isForgiving: false });
    },
  );

  it(
    'is a lease behind at most, when a process that was cut off from Redis acknowledged it',
    TIMEOUT,
    async ({ task }) => {
      if (isLong) fresh.start(crowd, PAUSE_MS);
      const ways = isLong ? Object.values(cuts) : [cuts['swallows everything']];
      for (const happens of ways) {
        const member = random.pick(members());
        const witnesses = await newWitnesses();
        const { entries, answered } = await sendAround(member, witnesses, () => happens(member));
        await answered;
        // What it does while it knows that it is cut off, is acknowledged all the same.
        for (const witness of witnesses) await removeOne(witness, member);
        await seenBy(members(), witnesses, entries());
        await Promise.all(witnesses.map(fresh.readEverywhere));
        member.redisGate.open();
        await redisIsUp(member);
      }
      await fresh.stop();
      // Else the ways were not cut where it matters.
      expect(fresh.judge().behind).toBeGreaterThan(0);
      tell({ task });
    },
  );

  it(
    'is new when another process acknowledges what a cut off or killed one has stored',
    TIMEOUT,
    async ({ task }) => {
      if (isLong) fresh.start(crowd, PAUSE_MS);
      const late: string[] = [];
      let exposed = 0;
      for (let i = 0; i < times(1, 4); i += 1) {
        const [member, other, third] = rotated(members(), random.below(3));
        const witnesses = await newWitnesses();
        const { entries, answered } = await sendAround(member, witnesses, () =>
          member.redisGate.blackHole(),
        );
        await stored(entries());
        fresh.killed(member);
        await member.kill();
        const killedAt = performance.now();
        await answered;
        // Nobody was told of those that were not acknowledged, neither the user nor the other processes.
        const half = witnesses.slice(0, WITNESSES / 2);
        await Promise.all(
          half.map(async (person, n) => {
            const { id, stored } = entries()[n] as Entry;
            const old = await fresh.read(person, third, 'history');
            if (!stored && old?.isHit && !old.shown.has(id)) exposed += 1;
            await fresh.send(person, other, { id, awaitReply: false });
            await fresh.readEverywhere(person);
          }),
        );
        await seenBy([other, third], witnesses, entries());
        const hiddenMs = performance.now() - killedAt;
        // With the time that the last round of readings took on a machine that has much else to do.
        if (hiddenMs > LEASE_MS + 500) late.push(`hidden for ${hiddenMs} ms after a kill`);
        member.redisGate.open();
        await member.start();
        fresh.revived();
        await redisIsUp(member);
      }
      await fresh.stop();
      // Else no old page was there to be shown.
      expect(exposed).toBeGreaterThan(0);
      tell({ task }, { also: late });
    },
  );

  it(
    'has lost what was deleted once the deletion was sent again, its process having been killed',
    TIMEOUT,
    async ({ task }) => {
      const shown: string[] = [];
      let exposed = 0;
      for (let i = 0; i < times(1, 6); i += 1) {
        const [member, other, third] = rotated(members(), random.below(3));
        const witnesses = await newWitnesses();
        const entries = witnesses.map((person) => [...person.entries.values()][0] as Entry);
        for (const entry of entries) entry.changing = true;
        member.redisGate.blackHole();
        const deletions = witnesses.map(({ token }, n) =>
          clientOf(member, token)
            .ask(DELETE, { id: entries[n]?.id })
            .catch(() => undefined),
        );
        await deleted(entries);
        fresh.killed(member);
        await member.kill();
        await Promise.all(deletions);
        await Promise.all(
          witnesses.map(async (person, n) => {
            const { id } = entries[n] as Entry;
            const old = await fresh.read(person, third, 'history');
            if (old?.isHit && old.shown.has(id)) exposed += 1;
            const again = await clientOf(other, person.token).ask(DELETE, { id });
            expect(failureOf(again)).toBe('NOT_FOUND');
            const page = await fresh.read(person, third, 'history');
            if (page?.shown.has(id)) shown.push('history showed what was NOT_FOUND elsewhere');
          }),
        );
        member.redisGate.open();
        await member.start();
        fresh.revived();
        await redisIsUp(member);
      }
      // Else no old page was there to be shown.
      expect(exposed).toBeGreaterThan(0);
      tell({ task }, { also: shown });
    },
  );
});

const rotated = (members: readonly Member[], by: number) =>
  [...members.slice(by), ...members.slice(0, by)] as [Member, Member, Member];
