import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Vite takes graphql's ES modules where Node takes its CommonJS: two copies that refuse each other.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/kit/global-setup.ts',
    setupFiles: ['test/kit/no-noise.ts'],
    reporters: ['default', './test/kit/summary-reporter.ts'],
    // Real parts on two cores: limits are for what hangs, not for what is slow.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
