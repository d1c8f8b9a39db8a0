import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    pool: 'forks',
    // Two cores, and most files start processes of their own.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          include: ['test/**/*.test.ts'],
          exclude: ['test/bench/**', 'test/leftovers.test.ts'],
          globalSetup: ['test/run-directory.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      // After all others: what did they leave behind?
      { extends: true, test: { name: 'last', include: ['test/leftovers.test.ts'], sequence: { groupOrder: 1 } } },
    ],
  },
})
