import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/kit/ports.ts';
import type { Contestant } from '../kit/contestant.ts';
import { processCpu } from '../kit/machine.ts';
import { serve } from '../kit/remote.ts';

// From bench/dist/bench/contestants.
const script = fileURLToPath(new URL('../../../contestants/fastapi_design.py', import.meta.url));

let pid = 0;

/** FastAPI in one process of uvicorn, by Debian's Python, and the way to its figures. */
serve<Pick<Contestant, 'start' | 'cpu' | 'memory'>>({
  async start({ redisUrl, database, jwtSecret }) {
    const port = await freePort();
    const child = spawn('/usr/bin/python3', [script], {
      env: {
        REDIS_URL: redisUrl,
        DATABASE_URL: database.url,
        JWT_SECRET: jwtSecret,
        PORT: `${port}`,
        PYTHONDONTWRITEBYTECODE: '1',
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    pid = child.pid ?? 0;
    process.on('exit', () => child.kill());
    const url = `http://127.0.0.1:${port}`;
    while (child.exitCode === null) {
      if (await fetch(url).catch(() => undefined)) return `${url}/graphql`;
      await sleep(50);
    }
    throw new Error('FastAPI did not start.');
  },
  cpu: () => processCpu(pid),
  async memory() {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    const rss = pages * 4_096;
    return { rss, resident: rss, heap: Number.NaN };
  },
});
