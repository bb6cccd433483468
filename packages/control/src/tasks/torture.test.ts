import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database, DatabaseOptions } from '../database/open-database.js';
import { type Children, childrenOf } from '../database/testing/child-process.test.support.js';
import { describeOnBoth, type TestDatabases, testSealer } from '../database/testing/databases.test.support.js';
import { everywhere } from '../namespaces/namespace-matcher.js';
import { createEffects, effectsOf, effectTasks } from './effects.test.support.js';
import type { Tasks } from './tasks.js';
import { migrateAll, stageOn, until } from './tasks.test.support.js';

const CHILD = 'tasks-child.test.support.js';
const TASKS = 60;
const ROUNDS = 6;

let processes: Children;
beforeAll(() => {
  processes = childrenOf('tasks', ['database', 'database/migrations', 'namespaces', 'audit']);
});
afterAll(() => processes.close());

interface Queue {
  readonly database: Database;
  readonly tasks: Tasks;
  readonly env: Readonly<Record<string, string>>;
}

async function queue(databases: TestDatabases): Promise<Queue> {
  const options: DatabaseOptions = await databases.empty();
  const database = databases.opened(options);
  await migrateAll(database);
  await createEffects(database);
  const { tasks } = stageOn(database, options, { tasks: effectTasks(() => database) }, testSealer);
  return { database, tasks, env: { TASKS_DATABASE: JSON.stringify(options), TASKS_COUNT: String(TASKS) } };
}

/** Every fifth is one that may run once at a time; and each comes with one whose transaction is rolled back. */
async function enqueue({ database, tasks }: Queue, index: number): Promise<void> {
  const name = index % 5 === 0 ? 'single' : 'effect';
  await database.transaction((trx) => tasks.enqueue(trx, name, index));
  const rolledBack = database.transaction(async (trx) => {
    await tasks.enqueue(trx, name, -1);
    throw new Error('rolled back');
  });
  await expect(rolledBack).rejects.toThrow('rolled back');
}

describeOnBoth('two processes on one queue', (databases) => {
  test('do each task exactly once', async () => {
    const made = await queue(databases);
    // Nobody dies here, and on a busy machine nobody is to be taken for dead.
    const env = { ...made.env, TASKS_LEASE_MS: '60000' };
    const running = Promise.all([processes.run(CHILD, env), processes.run(CHILD, env)]);
    await until(async () => (await sql`select 1 from task_runners`.execute(made.database.db)).rows.length === 2);
    for (let index = 0; index < TASKS; index += 1) await enqueue(made, index);
    expect(await running).toMatchObject([{ killed: false }, { killed: false }]);
    const effects = await effectsOf(made.database);
    expect(effects.map(({ place }) => place).sort((a, b) => a - b)).toEqual(Array.from({ length: TASKS }, (_, index) => index));
    expect(new Set(effects.map(({ process }) => process)).size).toBe(2);
    const { items } = await made.tasks.list({ limit: 1000 }, everywhere);
    expect(items.every(({ attempts, progress }) => attempts === 1 && progress?.done === 1)).toBe(true);
  }, 120_000);

  test('lose no task, however often they are killed', async () => {
    const made = await queue(databases);
    let killed = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const env = { ...made.env, TASKS_KILL_AT: String(4 + round * 7 + Math.floor(Math.random() * 20)) };
      const running = Promise.all([processes.run(CHILD, env), processes.run(CHILD, env)]);
      for (let index = 0; index < TASKS / ROUNDS; index += 1) await enqueue(made, round * (TASKS / ROUNDS) + index);
      killed += (await running).filter((child) => child.killed).length;
    }
    expect(killed).toBeGreaterThanOrEqual(ROUNDS);
    await Promise.all([processes.run(CHILD, made.env), processes.run(CHILD, made.env)]);
    const done = new Set((await effectsOf(made.database)).map(({ place }) => place));
    expect([...done].sort((a, b) => a - b)).toEqual(Array.from({ length: TASKS }, (_, index) => index));
    const { items } = await made.tasks.list({ limit: 1000 }, everywhere);
    expect(items).toHaveLength(TASKS);
    // A task that was killed on its way has begun more often than once.
    expect(items.some(({ attempts }) => attempts > 1)).toBe(true);
    if (databases.dialect === 'postgres') expect((await sql`select 1 from graphile_worker.jobs`.execute(made.database.db)).rows).toEqual([]);
  }, 240_000);
});
