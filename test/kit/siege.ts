import postgres from 'postgres';
import { expect } from 'vitest';
import { CONNECTION_LIMITS, type ConnectionLimits } from '../../src/server/connections.ts';
import { type Client, SEND, signIn } from './client.ts';
import { type Attackers, startAttackers } from './hostile.ts';
import { type Installation, type Member, startInstallation } from './installation.ts';
import { isLong, times } from './promises.ts';
import { seedAs } from './seed.ts';

/** The product's own times in the long form; with shorter ones it takes as long to see that they hold. */
export const LIMITS: ConnectionLimits = isLong
  ? CONNECTION_LIMITS
  : { ...CONNECTION_LIMITS, pingMs: 1_000, headMs: 1_000, requestMs: 2_000, stillMs: 2_000 };

/** With more, V8 lets garbage lie, and a heap that grows without end would be told late. */
const HEAP_MB = 160;

/** What may be left of an attack in the server's memory: caches that it filled, and the heap's own way. */
export const ROOM_MB = 150;

/** What the server says of itself. */
export interface Gauges {
  readonly subscriptions: number;
  readonly sockets: number;
  /** Connections of clients, of any kind. */
  readonly connections: number;
  readonly memoryMb: number;
}

/**
 * A server as a process of its own, clients that mean harm in another one, and people who want nothing
 * but their history.
 */
export interface Siege {
  readonly people: readonly Client[];
  readonly attackers: Attackers;
  gauges(): Promise<Gauges>;
  /** Waits until no subscription and no WebSocket is open any more. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

export async function startSiege(): Promise<Siege> {
  const chatkeep = await startInstallation({
    env: {
      TRUST_PROXY: 'true',
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
      // The offline companion: a model in this process would take its time from who is measured here.
      GEMINI_API_KEY: '',
    },
    ...(!isLong && { timing: { connections: LIMITS } }),
  });
  const server = chatkeep.members[0] as Member;
  const villains = await Promise.all(Array.from({ length: times(10, 50) }, () => signIn(server)));
  const people = await Promise.all(Array.from({ length: 3 }, () => signIn(server)));
  await seed(chatkeep, people, villains);
  const tokens = villains.map(({ token }) => token as string);
  const attackers = startAttackers({ url: server.url, tokens });

  async function gauges(): Promise<Gauges> {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
    return {
      subscriptions: value('chatkeep_subscriptions'),
      sockets: value('chatkeep_websockets'),
      connections: value('chatkeep_connections'),
      memoryMb: value('process_resident_memory_bytes') / 2 ** 20,
    };
  }

  return {
    people,
    attackers,
    gauges,
    async settled() {
      const open = async () => {
        const { subscriptions, sockets } = await gauges();
        return { subscriptions, sockets };
      };
      await expect
        .poll(open, { timeout: 30_000 + 2 * LIMITS.pingMs })
        .toEqual({ subscriptions: 0, sockets: 0 });
    },
    async stop() {
      await attackers.stop();
      await chatkeep.stop();
    },
  };
}

async function seed(
  { postgres: { ownerUrl } }: Installation,
  people: readonly Client[],
  villains: readonly Client[],
): Promise<void> {
  const admin = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  for (const person of people) {
    await person.data(SEND, { input: { message: 'hello' } });
    await seedAs(
      admin,
      person,
      Array.from({ length: 50 }, (_, i) => ({ message: `About ${i}` })),
    );
  }
  // Pages of 5 MB, more than the kernel takes for who does not read.
  for (const villain of villains.slice(0, 4)) {
    await villain.data(SEND, { input: { message: 'hello' } });
    await seedAs(admin, villain, Array(60).fill({ message: '漢'.repeat(30_000) }));
  }
  await admin.end();
}
