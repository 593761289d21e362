import { defineConfig } from 'vitest/config';

const HOSTILE = 'test/faults/hostile-clients.test.ts';

export default defineConfig({
  // Vite takes graphql's ES modules where Node takes its CommonJS: two copies that refuse each other.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    globalSetup: 'test/kit/global-setup.ts',
    setupFiles: ['test/kit/no-noise.ts'],
    reporters: ['default', './test/kit/promises-reporter.ts', './test/kit/summary-reporter.ts'],
    // Real parts on two cores: limits are for what hangs, not for what is slow.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000, interval: 20 } },
    maxWorkers: 2,
    // Browsers after all else: they leave no time to a Redis that has to answer within 150 ms.
    projects: [
      {
        extends: true,
        test: { name: 'server', include: ['test/*.test.ts'], sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: ['test/faults/*.test.ts'],
          exclude: [HOSTILE],
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Measures how long people wait, and shares the machine with nothing but the attack.
        extends: true,
        test: { name: 'faults alone', include: [HOSTILE], sequence: { groupOrder: 2 } },
      },
      {
        extends: true,
        test: {
          name: 'web',
          include: ['test/web/*.test.ts'],
          sequence: { groupOrder: 3 },
          // A browser on a busy machine has moments of its own. The summary names whoever needed it.
          retry: process.env['CI'] ? 1 : 0,
        },
      },
    ],
  },
});
