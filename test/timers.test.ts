import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { at } from '../src/timers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const YEAR = 365 * 24 * 60 * 60 * 1000;

it('calls back at an instant a year away, and not at once', () => {
  const called = vi.fn();
  at(new Date(Date.now() + YEAR), called);
  vi.advanceTimersByTime(YEAR - 1);
  expect(called).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(called).toHaveBeenCalledOnce();
});

it('calls back at once for what is past, and never once it was called off', () => {
  const called = vi.fn();
  at(new Date(0), called);
  vi.advanceTimersByTime(0);
  expect(called).toHaveBeenCalledOnce();
  const callOff = at(new Date(Date.now() + 2 * YEAR), called);
  vi.advanceTimersByTime(YEAR);
  callOff();
  vi.advanceTimersByTime(2 * YEAR);
  expect(called).toHaveBeenCalledOnce();
});
