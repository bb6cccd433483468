// Run as a process of its own: hands labels down until no task is left, and kills itself before a given statement. See `carry-torture.test.ts`.
import { Secret } from '@sallyport/sdk';
import { type DatabaseOptions, openDatabase } from '../database/open-database.js';
import { createSealer } from '../database/sealer.js';
import { labelledNamespaces } from '../namespaces/labelled-namespaces.js';
import { everywhere } from '../namespaces/namespace-matcher.js';
import type { Tasks } from '../tasks/tasks.js';
import { stageOn, until } from '../tasks/tasks.test.support.js';
import { createLabelCarrying } from './label-carrying.js';
import { carryEnqueuer, labelTasks } from './label-tasks.js';

const { CARRY_DATABASE = '', CARRY_KILL_AT = '0' } = process.env;
const killAt = Number(CARRY_KILL_AT);
let statements = 0;

const options = JSON.parse(CARRY_DATABASE) as DatabaseOptions;
const database = openDatabase({
  ...options,
  onStatement() {
    statements += 1;
    if (statements === killAt) process.kill(process.pid, 'SIGKILL');
  },
});
const carrying = createLabelCarrying({ database, children: [labelledNamespaces], enqueue: carryEnqueuer((): Tasks => tasks), pageSize: 5 });
const sealer = createSealer([new Secret('a key for tests, long enough')]);
const { tasks, startOptions } = stageOn(database, options, { tasks: labelTasks(carrying) }, sealer);
const runner = await tasks.start({ ...startOptions, leaseMs: 1_000 });
await until(async () => {
  const { items } = await tasks.list({}, everywhere);
  return items.every(({ state }) => state === 'succeeded' || state === 'dead');
});
await runner.stop();
await database.close();
