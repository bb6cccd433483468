// Run as a process of its own: runs tasks until none is left, and kills itself before a given statement. See `torture.test.ts`.
import { Secret } from '@sallyport/sdk';
import { type DatabaseOptions, openDatabase } from '../database/open-database.js';
import { createSealer } from '../database/sealer.js';
import { everywhere } from '../namespaces/namespace-matcher.js';
import { effectTasks } from './effects.test.support.js';
import { stageOn, until } from './tasks.test.support.js';

const { TASKS_DATABASE = '', TASKS_COUNT = '0', TASKS_KILL_AT = '0', TASKS_LEASE_MS = '1000' } = process.env;
const killAt = Number(TASKS_KILL_AT);
let statements = 0;

const options = JSON.parse(TASKS_DATABASE) as DatabaseOptions;
const database = openDatabase({
  ...options,
  onStatement() {
    statements += 1;
    if (statements === killAt) process.kill(process.pid, 'SIGKILL');
  },
});
const sealer = createSealer([new Secret('a key for tests, long enough')]);
const { tasks, startOptions } = stageOn(database, options, { tasks: effectTasks(() => database) }, sealer);
const runner = await tasks.start({ ...startOptions, concurrency: 2, leaseMs: Number(TASKS_LEASE_MS) });
await until(async () => {
  const { items } = await tasks.list({ limit: 1000 }, everywhere);
  return items.length >= Number(TASKS_COUNT) && items.every(({ state }) => state === 'succeeded');
});
await runner.stop();
await database.close();
