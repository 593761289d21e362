import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Any, signIn } from './client.ts';
import type { Member } from './installation.ts';
import type { Random } from './random.ts';

/** How long a lease lives, and so how far behind others may be at most when a process could not move it. */
export const LEASE_MS = 5_000;
/** Two clocks, of which one counts whole milliseconds. */
const CLOCKS_MS = 10;
/** So long a deleted message is still looked for. */
const REMEMBERED_MS = 3 * LEASE_MS;
/** All of a person's messages are on every page. */
const MOST_MESSAGES = 12;

/** That a change was acknowledged, and since when it was under way. */
interface Acknowledged {
  readonly from: number;
  readonly at: number;
  readonly by: Member;
}

/** What a read should have shown, and had not. */
interface Miss {
  readonly text: string;
  readonly began: number;
  readonly member: Member;
  readonly change: Acknowledged;
}

interface End extends Acknowledged {
  readonly status: string;
  readonly response: string;
}

/** What is known of a message from acknowledgements. */
export interface Entry {
  readonly id: string;
  readonly text: string;
  stored?: Acknowledged;
  ended?: End;
  deleted?: Acknowledged;
  /** From now on a page may show it in more than one state, or not at all. */
  changing: boolean;
}

export interface Person {
  readonly userId: string;
  readonly token: string;
  readonly entries: Map<string, Entry>;
}

/** Where all messages stand, where all those with a reply do, or one by itself. */
const PAGES = {
  history: '{ chatHistory(first: 50) { nodes { id status response } } }',
  backwards: '{ chatHistory(last: 50) { nodes { id status response } } }',
  search: '{ searchChats(query: "garden", first: 50) { nodes { id status response } } }',
  replies: '{ searchChats(query: "wrote", first: 50) { nodes { id status response } } }',
  message: 'query ($id: ID!) { message(id: $id) { id status response } }',
} as const;
export type PageKind = keyof typeof PAGES;
export const PAGE_KINDS = Object.keys(PAGES) as PageKind[];

const FIELDS = 'id status response';
const SEND = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { ${FIELDS} } } }`;
const STOP = `mutation ($id: ID!) { stopReply(id: $id) { ${FIELDS} } }`;
const RETRY = `mutation ($id: ID!) { retryReply(id: $id) { ${FIELDS} } }`;
export const DELETE = 'mutation ($id: ID!) { deleteMessage(id: $id) }';

export interface Read {
  readonly isHit: boolean;
  /** The ids it shows. */
  readonly shown: ReadonlySet<string>;
}

/**
 * Readers and writers over several processes, and what a reader has to see: each read that begins after a
 * change was acknowledged has to show it.
 */
export function createFreshness(members: readonly Member[], random: Random) {
  const agent = new Agent({ keepAlive: true, maxSockets: 200 });
  const count = { reads: 0, hits: 0, writes: 0, unanswered: 0 };
  const misses: Miss[] = [];
  const running: Promise<void>[] = [];
  let isStopped = false;
  let killed: Member | undefined;
  const kills: { readonly member: Member; readonly at: number }[] = [];

  /** Undefined if nothing comes. */
  function ask(
    member: Member,
    token: string,
    query: string,
    variables?: object,
  ): Promise<{ body: Any; status: string } | undefined> {
    const payload = JSON.stringify({ query, variables });
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      authorization: `Bearer ${token}`,
      'content-length': Buffer.byteLength(payload),
    };
    return new Promise((resolve) => {
      const asked = request(`${member.url}/graphql`, { method: 'POST', agent, headers });
      asked.on('error', () => resolve(undefined));
      asked.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', () => resolve(undefined));
        response.on('end', () => {
          const status = String(response.headers['cache-status'] ?? '');
          resolve({ body: JSON.parse(Buffer.concat(chunks).toString()), status });
        });
      });
      asked.end(payload);
    });
  }

  /** A write; undefined if nobody knows what became of it. */
  async function change(
    person: Person,
    member: Member,
    query: string,
    variables: object,
  ): Promise<{ data: Any; acknowledged: Acknowledged } | undefined> {
    const from = performance.now();
    const answer = await ask(member, person.token, query, variables);
    const at = performance.now();
    if (!answer?.body.data || answer.body.errors) {
      count.unanswered += 1;
      return undefined;
    }
    count.writes += 1;
    return { data: answer.body.data, acknowledged: { from, at, by: member } };
  }

  function note(entry: Entry, message: Any, acknowledged: Acknowledged): void {
    entry.stored ??= acknowledged;
    if (message.status === 'PENDING' || message.status === 'STREAMING') return;
    entry.ended = { ...acknowledged, status: message.status, response: message.response };
  }

  async function send(
    person: Person,
    member: Member,
    { awaitReply = true, words = '', id = randomUUID() as string } = {},
  ): Promise<Entry> {
    const entry = person.entries.get(id) ?? {
      id,
      text: `${words} in the garden ${id}`.trim(),
      changing: false,
    };
    person.entries.set(id, entry);
    const input = { id, message: entry.text, awaitReply };
    const done = await change(person, member, SEND, { input });
    if (done) note(entry, done.data.sendMessage.message, done.acknowledged);
    return entry;
  }

  async function end(person: Person, member: Member, entry: Entry, query: string): Promise<void> {
    entry.changing = true;
    const done = await change(person, member, query, { id: entry.id });
    if (!done) return;
    note(entry, done.data.stopReply ?? done.data.retryReply, done.acknowledged);
    entry.changing = false;
  }

  async function remove(person: Person, member: Member, entry: Entry): Promise<void> {
    entry.changing = true;
    const done = await change(person, member, DELETE, { id: entry.id });
    if (!done) return;
    entry.deleted = done.acknowledged;
    setTimeout(() => person.entries.delete(entry.id), REMEMBERED_MS).unref();
  }

  /** One read, and whether it showed what it had to. Undefined if nothing came. */
  async function read(person: Person, member: Member, kind: PageKind): Promise<Read | undefined> {
    const asked = kind === 'message' ? random.pick([...person.entries.values()]) : undefined;
    if (kind === 'message' && !asked) return undefined;
    const known = [...(asked ? [asked] : person.entries.values())].map((entry) => ({
      entry,
      ...entry,
    }));
    const began = performance.now();
    const answer = await ask(member, person.token, PAGES[kind], asked && { id: asked.id });
    if (!answer?.body.data || answer.body.errors) return undefined;
    const { data } = answer.body;
    count.reads += 1;
    const isHit = answer.status.endsWith('hit');
    if (isHit) count.hits += 1;
    const nodes: Any[] = asked
      ? [data.message].filter(Boolean)
      : (data.chatHistory ?? data.searchChats).nodes;
    const shown = new Map(nodes.map((node) => [node.id as string, node]));

    const missed = (what: string, change: Acknowledged) => {
      const text = `${kind} (${answer.status}) ${what}`;
      misses.push({ text, began, member, change });
    };
    for (const { entry, stored, ended, deleted } of known) {
      const node = shown.get(entry.id);
      if (deleted) {
        if (node) missed('showed a deleted message', deleted);
      } else if (entry.changing) {
        // Whatever it showed, it may.
      } else if (!node) {
        const isDue = kind === 'replies' ? ended?.status === 'COMPLETE' && ended : stored;
        if (isDue && (kind !== 'replies' || ended === entry.ended)) missed('had no message', isDue);
      } else if (ended && ended === entry.ended) {
        const isSame = node.status === ended.status && node.response === ended.response;
        if (!isSame) missed(`had ${node.status} for ${ended.status}`, ended);
      }
    }
    return { isHit, shown: new Set(shown.keys()) };
  }

  const readEverywhere = (person: Person) =>
    Promise.all(
      members
        .filter((member) => member !== killed)
        .map((member) => read(person, member, random.pick(PAGE_KINDS))),
    );

  /** One change by chance, and what everybody sees of it at once. */
  async function write(person: Person, member: Member): Promise<void> {
    const entries = [...person.entries.values()].filter((entry) => !entry.changing && entry.ended);
    if (entries.length > MOST_MESSAGES || (entries.length > 2 && random.oneIn(4))) {
      await remove(person, member, random.pick(entries));
    } else if (random.oneIn(6)) {
      const entry = await send(person, member, { awaitReply: false, words: 'slow' });
      if (!entry.stored || entry.ended) return;
      await end(person, random.pick(members), entry, STOP);
      if (entry.ended && random.oneIn(2)) await end(person, member, entry, RETRY);
    } else {
      const entry = await send(person, member, { awaitReply: !random.oneIn(3) });
      if (entry.stored && !entry.ended) await send(person, random.pick(members), { id: entry.id });
    }
    await readEverywhere(person);
  }

  return {
    count,
    send,
    remove,
    read,
    readEverywhere,

    async newPerson(): Promise<Person> {
      const { userId, token } = await signIn(members[0] as Member);
      return { userId, token: token as string, entries: new Map() };
    },

    /** Until `stop`: everybody reads at each process all the time, and writes now and then. */
    start(people: readonly Person[], pauseMs: number): void {
      const reader = async (person: Person, member: Member) => {
        while (!isStopped) {
          const kind = random.oneIn(3) ? random.pick(PAGE_KINDS) : 'history';
          if (member === killed || !(await read(person, member, kind))) await sleep(20);
        }
      };
      const writer = async (person: Person) => {
        while (!isStopped) {
          const member = random.pick(members);
          if (member !== killed) await write(person, member);
          await sleep(random.below(pauseMs));
        }
      };
      for (const person of people) {
        running.push(writer(person), ...members.map((member) => reader(person, member)));
      }
    },

    async stop(): Promise<void> {
      isStopped = true;
      await Promise.all(running);
      agent.destroy();
    },

    /** Nobody asks it any more. */
    killed(member: Member): void {
      killed = member;
      kills.push({ member, at: performance.now() });
    },
    /** It is there again. */
    revived(): void {
      killed = undefined;
    },

    /**
     * What should not have been. A process that says itself that Redis is away may leave the others a
     * lease behind what it acknowledges then, unless all have lost it.
     */
    judge({ isForgiving = true } = {}): {
      violations: string[];
      behind: number;
      longestMs: number;
    } {
      const violations: string[] = [];
      let [behind, longestMs] = [0, 0];
      const away = new Map(members.map((member) => [member, timesWithoutRedis(member)]));
      for (const { text, began, member, change } of misses) {
        const { from, at, by } = change;
        const age = began - at;
        const gone = kills.find((kill) => kill.member === by && kill.at >= at)?.at ?? Infinity;
        const isUntold = away
          .get(by)
          ?.some(([start, end]) => start <= at + CLOCKS_MS && Math.min(end, gone) >= from);
        if (isForgiving && isUntold && by !== member && age <= LEASE_MS + CLOCKS_MS) {
          behind += 1;
          longestMs = Math.max(longestMs, age);
          continue;
        }
        const where = by === member ? 'the same process' : 'another process';
        const how = isUntold ? ', without Redis' : '';
        violations.push(`${text} ${Math.round(age)} ms after ${where} acknowledged it${how}`);
      }
      return { violations, behind, longestMs };
    },

    /** Until everybody has everything in the cache, under a lease that has just begun. */
    async warm(person: Person, kinds: readonly PageKind[], at: readonly Member[]): Promise<void> {
      for (const member of at) {
        for (const kind of kinds) {
          while (!isStopped && !(await read(person, member, kind))?.isHit) await sleep(5);
        }
      }
    },
  };
}

/** When a process has said that Redis is away, until it has said that it is back, as `performance.now()`. */
function timesWithoutRedis(member: Member): [start: number, end: number][] {
  const times: [number, number][] = [];
  for (const line of member.output().split('\n')) {
    const [, time, what] = /"time":(\d+).*"msg":"Redis is (away|back)/.exec(line) ?? [];
    const at = Number(time) - performance.timeOrigin;
    if (what === 'away') times.push([at, Infinity]);
    else if (what === 'back') times.push([times.pop()?.[0] ?? at, at]);
  }
  return times;
}

export type Freshness = ReturnType<typeof createFreshness>;

/** Once this process has found Redis. */
export async function redisIsUp({ url }: Pick<Member, 'url'>): Promise<void> {
  for (;;) {
    const ready = (await (await fetch(`${url}/ready`)).json()) as { redis: string };
    if (ready.redis === 'up') return;
    await sleep(20);
  }
}
