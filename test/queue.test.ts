import { expect, it, vi } from 'vitest';
import { Queue } from '../src/services/queue.ts';

const HOUR = 60 * 60 * 1000;

function queueOf(limit: number, until = new Date(Date.now() + HOUR)) {
  const onEnd = vi.fn();
  const tooSlow = () => new Error('too slow');
  return { queue: new Queue<number>({ limit, until, tooSlow, onEnd }), onEnd };
}

it('gives out what was pushed, in order, to readers that came before and after', async () => {
  const { queue } = queueOf(10);
  const early = queue.next();
  queue.push(1);
  queue.push(2);
  expect(await early).toEqual({ done: false, value: 1 });
  expect(await queue.next()).toEqual({ done: false, value: 2 });
  await queue.return?.();
});

it('ends with an error for a reader that does not keep up, and throws at nobody else', async () => {
  const { queue, onEnd } = queueOf(3);
  for (const value of [1, 2, 3, 4, 5]) queue.push(value);
  expect(onEnd).toHaveBeenCalledOnce();
  await expect(queue.next()).rejects.toThrow('too slow');
  expect(await queue.next()).toEqual({ done: true, value: undefined });
});

it('can be returned from while it waits, and is cleaned up once', async () => {
  const { queue, onEnd } = queueOf(3);
  const waiting = queue.next();
  await queue.return?.();
  await queue.return?.();
  expect(await waiting).toEqual({ done: true, value: undefined });
  expect(onEnd).toHaveBeenCalledOnce();
  queue.push(1);
  expect(await queue.next()).toEqual({ done: true, value: undefined });
});

it('ends by itself at its time', async () => {
  const { queue, onEnd } = queueOf(3, new Date(Date.now() + 20));
  expect(await queue.next()).toEqual({ done: true, value: undefined });
  expect(onEnd).toHaveBeenCalledOnce();
});
