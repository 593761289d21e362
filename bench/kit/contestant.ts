import { writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { getHeapSpaceStatistics, writeHeapSnapshot } from 'node:v8';
import { serve } from './remote.ts';

/** What every contestant is given; each takes what it needs. */
export interface Settings {
  readonly redisUrl: string;
  readonly database: { readonly url: string; readonly ownerUrl: string };
  readonly jwtSecret: string;
  readonly dataDir: string;
}

export interface Memory {
  /** RSS as the system tells it, before garbage is collected. */
  readonly rss: number;
  /** RSS without V8's young generation. */
  readonly resident: number;
  /** What is in use on the heap, and outside for it. */
  readonly heap: number;
}

/** A server that is measured, in a process of its own with --expose-gc. */
export interface Contestant {
  /** Answers its address, `ws://host:port/path`. */
  start(settings: Settings): Promise<string>;
  /** CPU of the whole process since it began, in µs. */
  cpu(): number;
  /** Bytes after garbage collection. */
  memory(): Promise<Memory>;
  /** Begins a CPU profile; called again, writes it to the path. */
  profile(path: string): Promise<void>;
  heapSnapshot(path: string): void;
}

export function runContestant(start: Contestant['start']): void {
  let session: Session | undefined;
  serve<Contestant>({
    start,
    cpu() {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
    async memory() {
      const before = process.memoryUsage().rss;
      // What was freed goes back to the system a little later.
      for (let i = 0; i < 4; i += 1) {
        global.gc?.();
        await sleep(100);
      }
      const { rss, heapUsed, external } = process.memoryUsage();
      // It grows and shrinks with the traffic, by more than thousands of sockets hold.
      const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
      const resident = rss - (young?.physical_space_size ?? 0);
      return { rss: before, resident, heap: heapUsed + external };
    },
    async profile(path) {
      if (session) {
        const { profile } = await session.post('Profiler.stop');
        session.disconnect();
        session = undefined;
        await writeFile(path, JSON.stringify(profile));
        return;
      }
      session = new Session();
      session.connect();
      await session.post('Profiler.enable');
      await session.post('Profiler.start');
    },
    heapSnapshot: (path) => void writeHeapSnapshot(path),
  });
}
