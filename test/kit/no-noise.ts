import { afterEach, expect, vi } from 'vitest';

// A warning that nobody reads is a fault that nobody sees: noise fails the test that made it.
const noise: unknown[][] = [];
for (const level of ['error', 'warn'] as const) {
  vi.spyOn(console, level).mockImplementation((...words) => {
    noise.push(words);
  });
}
process.on('warning', (warning) => noise.push([warning.name, warning.message]));

afterEach(() => {
  expect(noise.splice(0)).toEqual([]);
});
