import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import type postgres from 'postgres';
import WebSocket from 'ws';
import {
  type Answer,
  type Any,
  type Client,
  clientOf,
  failureOf,
  signIn,
} from '../../kit/client.ts';
import type { Behaviour } from '../../kit/gemini-server.ts';
import { type History, type Message, type Mood, page, toMicroseconds } from './history.ts';

/** A server as commands see it; it may be another process after it was restarted. */
export interface Server {
  readonly url: string;
  readonly wsUrl: string;
}

/** What can be done to the parts. */
export interface Faults {
  restart(server: number): Promise<void>;
  /** SIGKILL to the last of the servers; another one takes its place. */
  kill(): Promise<void>;
  killRedis(): Promise<void>;
  freezeRedis(): Promise<void>;
  healRedis(): Promise<void>;
  flushRedis(): Promise<void>;
  killSubscribers(): Promise<void>;
  cutRedis(): void;
  cutPostgres(): Promise<void>;
  terminateBackends(): Promise<number>;
  crashPostgres(): Promise<void>;
}

/** The parts that runs share, one after the other or at the same time: each run has users of its own. */
export interface Parts {
  readonly servers: readonly Server[];
  readonly owner: postgres.Sql;
  readonly replies: Map<string, ScriptedReply>;
  /** Lets the lease of a user's pages run out. */
  readonly endLease: (userId: string) => Promise<void>;
  readonly faults: Faults | undefined;
  /** Until when PostgreSQL may be away, as `performance.now()`. */
  hurtUntil: number;
  /** How often each command was run, and what came of it. */
  readonly counts: Map<string, number>;
}

export interface ScriptedReply {
  readonly behaviour: Behaviour;
  readonly open: () => void;
  asked: number;
}

export interface Person {
  readonly client: Client;
  readonly history: History;
  device: Device | undefined;
}

/** What a run has of its own. */
export interface World {
  readonly parts: Parts;
  readonly people: readonly [Person, Person];
  /** A word that no other message has. */
  newTag(): string;
}

export interface Seeded {
  readonly id: string;
  readonly at: string;
  readonly message: string;
  readonly response: string;
  readonly mood: Mood;
  readonly moodScore: number;
  readonly tone: string | null;
  readonly status: 'COMPLETE' | 'FAILED';
}

export const FIELDS = `id message response status failure mood moodScore personalityContext
  hasPersonalityContext createdAt updatedAt cursor`;

const PAGE = `query Page($first: Int, $after: String, $offset: Int, $last: Int, $before: String, $filter: ChatFilter) {
  chatHistory(first: $first, after: $after, offset: $offset, last: $last, before: $before, filter: $filter) {
    edges { cursor node { ${FIELDS} } }
    nodes { id }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    eventsCursor
  }
}`;

const EVENTS = `subscription ($after: String) { chatEvents(after: $after) {
  __typename
  ... on MessageChanged { cursor message { ${FIELDS} } }
  ... on MessageDeleted { cursor id }
  ... on ReplyDelta { messageId offset text }
  ... on CaughtUp { cursor }
} }`;

/** So long a device may take until it shows what a page shows: a gap is looked for every two seconds. */
const TOLD_WITHIN_MS = 10_000;

export class Difference extends Error {
  override readonly name = 'Difference';
}

export function expectEqual(what: string, shown: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(shown), JSON.stringify(expected)];
  if (one !== other) throw new Difference(`${what}: ${one} instead of ${other}`);
}

export function expectThat(what: string, holds: boolean, shown: unknown): void {
  if (!holds) throw new Difference(`${what}: ${JSON.stringify(shown)}`);
}

/** Starts two users with what another program has put into their histories. */
export async function createWorld(
  parts: Parts,
  seeds: readonly (readonly Seeded[])[],
): Promise<World> {
  count({ parts }, RUNS);
  const run = runsOf(parts);
  let tags = 0;
  const create = async (rows: readonly Seeded[]): Promise<Person> => {
    const client = await signIn(parts.servers[0] as Server);
    const messages = rows.map((row): Message => {
      const { tone, ...rest } = row;
      const personalityContext = tone === null ? null : { tone };
      return { ...rest, personalityContext, byDefault: false, failed: false };
    });
    await parts.owner`
      insert into chat_history
        (user_id, id, message, response, status, personality_context, created_at, mood, mood_score)
      select ${client.userId}::uuid, id, message, response, status::chat_reply_status, context, at::timestamptz,
        mood::chat_mood, "moodScore"
      from jsonb_to_recordset(${JSON.stringify(
        messages.map(({ personalityContext: context, ...rest }) => ({ ...rest, context })),
      )}::text::jsonb) as t(id uuid, message text, response text, status text, context jsonb, at text,
        mood text, "moodScore" float8)`;
    const history = { messages, deleted: [], personality: null, moment: undefined };
    return { client, history, device: undefined };
  };
  const people = (await Promise.all([create(seeds[0] ?? []), create(seeds[1] ?? [])])) as [
    Person,
    Person,
  ];
  return {
    parts,
    people,
    newTag() {
      tags += 1;
      return `#r${run}m${tags}`;
    },
  };
}

const RUNS = 'runs in all';

export const runsOf = ({ counts }: Parts): number => counts.get(RUNS) ?? 0;

export function count({ parts }: Pick<World, 'parts'>, what: string): void {
  parts.counts.set(what, (parts.counts.get(what) ?? 0) + 1);
}

export interface Asked extends Answer<Any> {
  /** How often it was refused before, since PostgreSQL was hurt: then it is not known what became of it. */
  readonly refusals: number;
  readonly failed: string | undefined;
}

/** Asks one of the servers. Only while PostgreSQL is hurt it may refuse, and is asked again. */
export async function ask(
  world: World,
  person: Person,
  via: number,
  query: string,
  variables: object,
): Promise<Asked> {
  const { parts } = world;
  const server = parts.servers[via % parts.servers.length] as Server;
  for (let refusals = 0; ; refusals += 1) {
    const asked = performance.now();
    const answer = await clientOf(server, person.client.token).ask<Any>(query, variables);
    const failed = failureOf(answer);
    if (failed !== 'SERVICE_UNAVAILABLE') {
      const status = answer.headers.get('cache-status');
      if (status) count(world, status.replace('chatkeep; ', 'cache: '));
      return { ...answer, refusals, failed };
    }
    expectThat('refused though PostgreSQL is well', asked < parts.hurtUntil, answer.errors);
    count(world, 'refused');
    await sleep(50);
  }
}

/** What is the same in every answer from now on, and is learned from the first. */
function learn<K extends 'failure' | 'updatedAt' | 'cursor'>(
  message: Message,
  field: K,
  shown: string | null,
): void {
  message[field] ??= shown ?? undefined;
  expectEqual(`${field} of ${message.message}`, shown, message[field] ?? null);
}

/** That a message is shown as the model has it. `isDevice`: pieces may have come before the status. */
export function expectMessage(message: Message, shown: Any, { isDevice = false } = {}): void {
  const what = (field: string) => `${field} of ${message.message} (${message.id})`;
  expectThat(`${message.message} is not shown`, !!shown, shown);
  expectEqual(
    what('what was sent'),
    [shown.id, shown.message, shown.mood, shown.moodScore],
    [message.id, message.message, message.mood, message.moodScore],
  );
  expectEqual(
    what('context'),
    [shown.personalityContext, shown.hasPersonalityContext],
    [message.personalityContext, message.personalityContext !== null],
  );
  expectEqual(what('createdAt'), shown.createdAt, `${message.at.slice(0, 23)}Z`);
  learn(message, 'cursor', shown.cursor);
  if (message.status === 'RUNNING') {
    expectThat(what('status'), /^(PENDING|STREAMING)$/.test(shown.status), shown);
    expectThat(what('response'), message.response.startsWith(shown.response), shown);
    const hasText = shown.response !== '';
    expectThat(what('text'), isDevice || hasText === (shown.status === 'STREAMING'), shown);
    return;
  }
  expectEqual(what('status'), shown.status, message.status);
  if (message.isOpenEnded) {
    expectThat(what('response'), message.response.startsWith(shown.response), shown);
    message.response = shown.response;
    message.isOpenEnded = false;
  }
  expectEqual(what('response'), shown.response, message.response);
  expectThat(what('failure'), message.failed === (shown.failure !== null), shown);
  learn(message, 'failure', shown.failure);
  learn(message, 'updatedAt', shown.updatedAt);
}

/** Reads a page and compares it, with that moment of the history that it says it shows. */
export async function readPage(
  world: World,
  person: Person,
  via: number,
  request: Parameters<typeof page>[1],
): Promise<Any> {
  const { after, before, ...rest } = request;
  const variables = { ...rest, after: after?.cursor, before: before?.cursor };
  const answer = await ask(world, person, via, PAGE, variables);
  expectEqual('reading a page', answer.failed, undefined);
  const shown = answer.data.chatHistory;
  expectPage(page(person.history, request), shown);
  person.history.moment ??= shown.eventsCursor;
  expectEqual('eventsCursor', shown.eventsCursor, person.history.moment);
  return shown;
}

export function expectPage(expected: ReturnType<typeof page>, shown: Any): void {
  const texts = expected.messages.map(({ message }) => message);
  expectEqual(
    'the page',
    shown.edges.map(({ node }: Any) => node.message),
    texts,
  );
  for (const [i, message] of expected.messages.entries()) {
    expectMessage(message, shown.edges[i].node);
    expectEqual('the cursor of an edge', shown.edges[i].cursor, message.cursor);
  }
  const ids = expected.messages.map(({ id }) => id);
  if (shown.nodes)
    expectEqual(
      'nodes',
      shown.nodes,
      ids.map((id) => ({ id })),
    );
  const { hasNextPage, hasPreviousPage } = expected;
  expectEqual('pageInfo', shown.pageInfo, {
    hasNextPage,
    hasPreviousPage,
    startCursor: expected.messages[0]?.cursor ?? null,
    endCursor: expected.messages.at(-1)?.cursor ?? null,
  });
}

/** When it was stored is learned from the first answer: later than all that was stored before. */
export function learnTime({ messages, deleted }: History, createdAt: string): string {
  const at = toMicroseconds(createdAt);
  const latest = [...messages, ...deleted].reduce((a, m) => (m.at > a ? m.at : a), '');
  expectThat(`createdAt, after ${latest}`, at > latest, createdAt);
  expectThat('createdAt', Math.abs(Date.parse(createdAt) - Date.now()) < 60_000, createdAt);
  return at;
}

export type Device = Awaited<ReturnType<typeof openDevice>>;

/** A device that has read a history and applies what it is told since. */
export async function openDevice(world: World, person: Person, via: number) {
  const { history, client } = person;
  const shown = await readPage(world, person, via, { first: 100 });
  const messages = new Map<string, Any>(shown.edges.map(({ node }: Any) => [node.id, node]));
  const faults: string[] = [];
  let cursor: string = shown.eventsCursor;
  let end: (() => void) | undefined;
  let place = via;
  let looks: (() => void)[] = [];

  function apply(event: Any): void {
    if (event.cursor) cursor = event.cursor;
    if (event.message) messages.set(event.message.id, event.message);
    if (event.__typename === 'MessageDeleted') messages.delete(event.id);
    if (event.__typename !== 'ReplyDelta') return;
    const message = messages.get(event.messageId);
    if (!message) faults.push(`a piece of what is not there: ${event.text}`);
    else {
      const response = message.response.slice(0, event.offset) + event.text;
      messages.set(event.messageId, { ...message, response });
    }
  }

  /** Attaches with the cursor, and compares once it has caught up. */
  async function attach(via: number): Promise<void> {
    for (;;) {
      const outcome = await subscribe(via);
      if (outcome === 'caught up') break;
      expectThat('a subscription ended', performance.now() < world.parts.hurtUntil, outcome);
      await sleep(50);
    }
    place = via;
    expectShown();
  }

  async function subscribe(via: number): Promise<unknown> {
    const { servers } = world.parts;
    const socket = createClient({
      url: `${(servers[via % servers.length] as Server).wsUrl}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: { authorization: `Bearer ${client.token}` },
    });
    let isOver = false;
    const close = () => {
      isOver = true;
      socket.terminate();
    };
    end = close;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, TOLD_WITHIN_MS, 'nothing came');
      const done = (outcome: unknown) => {
        clearTimeout(timer);
        resolve(outcome);
        if (outcome !== 'caught up' && end === close) end = undefined;
      };
      socket.subscribe(
        { query: EVENTS, variables: { after: cursor } },
        {
          next({ data, errors }: Any) {
            if (isOver) return;
            if (!data) return done(errors);
            apply(data.chatEvents);
            for (const look of looks.splice(0)) look();
            if (data.chatEvents.__typename === 'CaughtUp') done('caught up');
          },
          error: done,
          complete: () => done('it is complete'),
        },
      );
    });
  }

  function expectShown(): void {
    expectEqual('what a device was told', faults, []);
    const known = history.messages.map(({ id }) => id);
    const extra = [...messages.values()].filter(({ id }) => !known.includes(id));
    expectEqual('a device shows what there is not', extra, []);
    for (const message of history.messages) {
      expectMessage(message, messages.get(message.id), { isDevice: true });
    }
  }

  const device = {
    get isAttached() {
      return end !== undefined;
    },
    /** Through which server. */
    get via() {
      return place % world.parts.servers.length;
    },
    attach,
    /** As a telephone in a tunnel does. */
    cut(): void {
      end?.();
      end = undefined;
      looks = [];
    },
    /** Waits until it shows what there is. */
    async show(): Promise<void> {
      for (const deadline = performance.now() + TOLD_WITHIN_MS; ; ) {
        try {
          return expectShown();
        } catch (error) {
          if (performance.now() > deadline) throw error;
        }
        const told = new Promise<void>((resolve) => looks.push(resolve));
        await Promise.race([told, sleep(100)]);
        // PostgreSQL was hurt, or its server: it comes back as a client does.
        if (!end) await attach(place + 1);
      }
    },
  };
  await attach(via);
  return device;
}
