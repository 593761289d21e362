import WebSocket from 'ws';
import type { ServerProcess } from './process.ts';

/** To be among the environment of a server whose heap is to be looked at: any free port. */
export const INSPECTABLE = { NODE_OPTIONS: '--inspect-port=0' };

/** What a process prints of being looked at. */
export const INSPECTOR_LINE = /^(Debugger |For help, see: |Starting inspector)/;

/** Bytes that are in use on the heap of a server process, once all garbage is collected. */
export async function heapOf({ child, output }: ServerProcess): Promise<number> {
  const address = () => /Debugger listening on (ws:\S+)/.exec(output())?.[1];
  if (!address()) child.kill('SIGUSR1');
  while (!address()) await new Promise((resolve) => setTimeout(resolve, 10));
  const socket = new WebSocket(address() as string);
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  let id = 0;
  const call = (method: string) =>
    new Promise<{ usedSize: number }>((resolve) => {
      id += 1;
      const mine = id;
      socket.on('message', (data) => {
        const answer = JSON.parse(String(data));
        if (answer.id === mine) resolve(answer.result);
      });
      socket.send(JSON.stringify({ id, method }));
    });
  // Twice: what is finalized by the first one goes with the second.
  await call('HeapProfiler.collectGarbage');
  await call('HeapProfiler.collectGarbage');
  const { usedSize } = await call('Runtime.getHeapUsage');
  socket.close();
  return usedSize;
}
