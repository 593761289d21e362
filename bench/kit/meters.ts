import type { Redis } from 'ioredis';
import postgres from 'postgres';
import type { Contestant } from './contestant.ts';
import { parentOf, postgresCpu } from './machine.ts';
import type { Remote } from './remote.ts';

/** CPU that was used meanwhile, in µs. */
export interface Spent {
  readonly server: number;
  readonly postgres: number;
  readonly redis: number;
}

/** Reads how much CPU the server, PostgreSQL and Redis use. */
export async function createMeters(ownerUrl: string, redis: Redis) {
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const postmaster = parentOf(backend?.pid ?? 0);
  await sql.end();

  async function read(contestant: Remote<Contestant>): Promise<Spent> {
    return {
      server: await contestant.ask('cpu'),
      postgres: postgresCpu(postmaster),
      redis: redisCpu(await redis.info('cpu')),
    };
  }

  return {
    async during<T>(contestant: Remote<Contestant>, run: () => Promise<T>) {
      const before = await read(contestant);
      const result = await run();
      const after = await read(contestant);
      const spent: Spent = {
        server: after.server - before.server,
        postgres: after.postgres - before.postgres,
        redis: after.redis - before.redis,
      };
      return { result, spent };
    },
  };
}

export type Meters = Awaited<ReturnType<typeof createMeters>>;

function redisCpu(info: string): number {
  const seconds = (name: string) => Number(new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]);
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1_000_000;
}
