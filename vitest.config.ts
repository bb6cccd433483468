import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Tests run the sources: nothing has to be built first, and a failing line is a line of TypeScript.
const source = (name: string, folder = ''): string => fileURLToPath(new URL(`packages/${name}/src/${folder}index.ts`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: '@sallyport/sdk/compliance', replacement: source('sdk', 'compliance/') },
      ...['sdk', 'credentials', 'gateway', 'control', 'client', 'cli'].map((name) => ({
        find: new RegExp(`^@sallyport/${name}$`),
        replacement: source(name),
      })),
    ],
  },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    // Half of what a test does is wait: for a process, a socket, the disk.
    maxWorkers: availableParallelism() + 1,
    globalSetup: [fileURLToPath(new URL('packages/control/src/database/testing/shared-postgres.test.support.ts', import.meta.url))],
    setupFiles: [fileURLToPath(new URL('test/property-seed.ts', import.meta.url))],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
