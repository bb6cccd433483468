import { Secret } from '@sallyport/sdk';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { migrate } from '../database/migrate.js';
import { pageQuery, planPage } from '../database/paging.js';
import { describeOnBoth, type TestDatabases, testSealer } from '../database/testing/databases.test.support.js';
import { requireIndexed } from '../database/testing/query-plan.test.support.js';
import { openCounted } from '../database/testing/statement-count.test.support.js';
import { everywhere, nowhere, parseNamespaceMatcher } from '../namespaces/namespace-matcher.js';
import { defineTask, type Task } from './task.js';
import { migrateTaskEngine, requireTaskEngine } from './task-engine.js';
import { selectDue, selectOrphans, selectTasks } from './task-store.js';
import { createTasks, type TaskFilter, taskList } from './tasks.js';
import { migrateAll, type Stage, stageOn, taskOf, who } from './tasks.test.support.js';

const noop = taskOf('noop', async () => undefined);
const greet = defineTask({ name: 'greet', schema: z.strictObject({ name: z.string() }), run: async ({ payload }) => ({ greeting: payload.name }) });

async function stage(databases: TestDatabases, tasks: readonly Task[] = [noop, greet]): Promise<Stage> {
  const options = await databases.empty();
  const database = databases.opened(options);
  await migrateAll(database);
  return stageOn(database, options, { tasks }, testSealer);
}

test('a task is called something, and has attempts', () => {
  for (const name of ['', 'A', '1', 'a b', 'a'.repeat(101)]) expect(() => taskOf(name, async () => undefined)).toThrow('cannot be called');
  expect(() => taskOf('a', async () => undefined, { attempts: 0 })).toThrow('no attempts');
  expect(() => taskOf('a', async () => undefined, { baseMs: 2, maxMs: 1 })).toThrow('make no sense');
});

describeOnBoth('tasks', (databases) => {
  test('are there when they are enqueued, and say what they are', async () => {
    const runAt = Date.now() + 60_000;
    const { database, tasks: mine } = await stage(databases);
    const record = await mine.enqueue(database.db, 'greet', { name: 'x' }, { who, namespace: 'root.a', runAt, jobKey: 'k' });
    expect(record).toMatchObject({ name: 'greet', namespace: 'root.a', state: 'pending', attempts: 0, maxAttempts: 10, runAt, jobKey: 'k' });
    expect(record).toMatchObject({ payload: { name: 'x' }, createdBy: 'act_test', error: undefined, result: undefined, progress: undefined });
    expect(record.id).toMatch(/^tsk_/);
    expect(await mine.get(record.id)).toEqual(record);
    await expect(mine.get('tsk_none')).rejects.toMatchObject({ code: 'task_not_found', status: 404 });
  });

  test('are refused when nobody could run them', async () => {
    const { tasks, database } = await stage(databases);
    await expect(tasks.enqueue(database.db, 'other', {})).rejects.toMatchObject({ code: 'task_unknown' });
    await expect(tasks.enqueue(database.db, 'greet', { name: 1 })).rejects.toMatchObject({ code: 'task_payload_invalid', message: /^name: / });
    await expect(tasks.enqueue(database.db, 'greet', { name: 'x'.repeat(65_536) })).rejects.toMatchObject({ code: 'task_payload_invalid' });
    await expect(tasks.enqueue(database.db, 'greet', { name: 'x' }, { namespace: 'root.%' })).rejects.toMatchObject({
      code: 'namespace_path_invalid',
    });
    expect((await tasks.list({}, everywhere)).items).toEqual([]);
    const options = { database, audit: (await stage(databases)).audit, sealer: testSealer };
    expect(() => createTasks({ ...options, tasks: [noop, noop] })).toThrow('same name');
    expect(() => createTasks({ ...options, tasks: [noop], cron: [{ task: 'noop', schedule: 'x' }] })).toThrow(
      expect.objectContaining({ code: 'task_schedule_invalid' }),
    );
    expect(() => createTasks({ ...options, tasks: [noop], cron: [{ task: 'greet', schedule: '* * * * *' }] })).toThrow(
      expect.objectContaining({ code: 'task_unknown' }),
    );
    const twice = { task: 'noop', schedule: '* * * * *' };
    expect(() => createTasks({ ...options, tasks: [noop], cron: [twice, twice] })).toThrow('scheduled twice');
  });

  test('of a transaction that is rolled back are never there', async () => {
    const { tasks, database } = await stage(databases);
    const failing = database.transaction(async (trx) => {
      await tasks.enqueue(trx, 'noop', {});
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect((await tasks.list({}, everywhere)).items).toEqual([]);
    if (database.dialect === 'postgres') expect((await sql`select 1 from graphile_worker.jobs`.execute(database.db)).rows).toEqual([]);
  });

  test('under the same key are one, as long as it has not begun', async () => {
    const { tasks, database } = await stage(databases);
    const enqueue = (name: string, more = {}) => tasks.enqueue(database.db, 'greet', { name }, { jobKey: 'k', ...more });
    const [first, ...others] = await Promise.all(['a', 'b', 'c'].map((name) => enqueue(name)));
    expect(others.map(({ id }) => id)).toEqual([first?.id, first?.id]);
    expect(await enqueue('d', { runAt: 5 })).toMatchObject({ id: first?.id, payload: { name: 'd' }, runAt: 5 });
    expect((await enqueue('e', { namespace: 'root.a' })).id).not.toBe(first?.id);
    expect((await tasks.enqueue(database.db, 'noop', {}, { jobKey: 'k' })).id).not.toBe(first?.id);
    if (database.dialect === 'postgres') expect((await sql`select 1 from graphile_worker.jobs`.execute(database.db)).rows).toHaveLength(3);
  });

  test('are listed, newest first, filtered, and only where the caller may look', async () => {
    const { tasks, database } = await stage(databases);
    for (const namespace of ['root', 'root.a', 'root.a.b']) await tasks.enqueue(database.db, 'noop', {}, { namespace });
    const last = await tasks.enqueue(database.db, 'greet', { name: 'x' });
    await tasks.cancel(last.id, who);
    const seen = async (filter: TaskFilter, visible = everywhere) => (await tasks.list({ filter }, visible)).items.map(({ namespace }) => namespace);
    expect(await seen({})).toEqual(['root', 'root.a.b', 'root.a', 'root']);
    expect(await seen({ name: 'noop' })).toEqual(['root.a.b', 'root.a', 'root']);
    expect(await seen({ state: 'cancelled' })).toEqual(['root']);
    expect(await seen({ namespace: 'root.a' })).toEqual(['root.a']);
    expect(await seen({}, [parseNamespaceMatcher('root.a.**')])).toEqual(['root.a.b', 'root.a']);
    expect(await seen({ namespace: 'root.x.**' }, [parseNamespaceMatcher('root.a.**')])).toEqual([]);
    expect(await seen({}, nowhere)).toEqual([]);
    const page = await tasks.list({ limit: 3 }, everywhere);
    expect(page.items).toHaveLength(3);
    expect((await tasks.list({ cursor: page.cursor }, everywhere)).items).toHaveLength(1);
    await expect(tasks.list({ limit: 1001 }, everywhere)).rejects.toMatchObject({ code: 'list_limit_invalid' });
  });

  test('that wait are cancelled at once and put back, and the trail says who did it', async () => {
    const { tasks, database, audit } = await stage(databases);
    const { id } = await tasks.enqueue(database.db, 'noop', {}, { namespace: 'root.a', jobKey: 'k' });
    expect(await tasks.cancel(id, who)).toMatchObject({ state: 'cancelled', runAt: undefined });
    expect(await tasks.cancel(id, who)).toMatchObject({ state: 'cancelled' });
    if (database.dialect === 'postgres') expect((await sql`select 1 from graphile_worker.jobs`.execute(database.db)).rows).toEqual([]);
    expect((await tasks.enqueue(database.db, 'noop', {}, { namespace: 'root.a', jobKey: 'k' })).id).not.toBe(id);
    expect(await tasks.retry(id, who)).toMatchObject({ state: 'pending', attempts: 0, cancelRequestedAt: undefined, finishedAt: undefined });
    await expect(tasks.cancel('tsk_none', who)).rejects.toMatchObject({ code: 'task_not_found' });
    const events = (await audit.list({ filter: { resource_type: 'tasks' } }, everywhere)).items;
    expect(events.map(({ action, actorId, after }) => [action, actorId, after])).toEqual([
      ['tasks.retry', 'act_test', { state: 'pending', cancel_requested: false }],
      ['tasks.cancel', 'act_test', { state: 'cancelled', cancel_requested: true }],
    ]);
  });

  test('are enqueued, read and listed with few statements, all of them by an index', async () => {
    const options = await databases.empty();
    const database = openCounted(options);
    await migrateAll(database);
    const { tasks } = stageOn(database, options, { tasks: [noop] }, testSealer);
    let id = '';
    const enqueued = await database.statementsOf(async () => {
      id = (await tasks.enqueue(database.db, 'noop', {})).id;
    });
    expect(enqueued).toHaveLength(databases.dialect === 'postgres' ? 2 : 1);
    expect(await database.statementsOf(() => tasks.get(id))).toHaveLength(1);
    expect(await database.statementsOf(() => tasks.list({}, everywhere))).toHaveLength(1);
    const filters: readonly TaskFilter[] = [{}, { state: 'dead' }, { name: 'noop' }];
    for (const filter of filters) {
      await requireIndexed(database, pageQuery(selectTasks(database.db, everywhere, filter), planPage(taskList, {}, testSealer)).compile());
    }
    const below = [parseNamespaceMatcher('root.a')];
    await requireIndexed(database, pageQuery(selectTasks(database.db, below, {}), planPage(taskList, {}, testSealer)).compile());
    await requireIndexed(database, selectDue(database.db, ['noop'], 1).compile());
    await requireIndexed(database, selectOrphans(database.db).compile());
    await database.close();
  });

  test('need the tables of their engine, which are made once and known by their number', async () => {
    const options = await databases.empty();
    const [one, other] = [databases.opened(options), databases.opened(options)];
    await migrate(one);
    const { tasks, startOptions } = stageOn(one, options, { tasks: [noop] }, testSealer);
    if (one.dialect === 'postgres') {
      await expect(requireTaskEngine(one)).rejects.toMatchObject({ code: 'schema_outdated' });
      await expect(tasks.enqueue(one.db, 'noop', {})).rejects.toMatchObject({ code: 'schema_outdated' });
      await expect(tasks.start(startOptions)).rejects.toMatchObject({ code: 'schema_outdated' });
    }
    await Promise.all([migrateTaskEngine(one), migrateTaskEngine(other)]);
    await migrateTaskEngine(one);
    await requireTaskEngine(one);
    await tasks.enqueue(one.db, 'noop', {});
    if (one.dialect === 'postgres') {
      await sql`insert into graphile_worker.migrations (id) values (1000)`.execute(one.db);
      await expect(requireTaskEngine(one)).rejects.toMatchObject({ code: 'schema_unknown' });
      await expect(migrateTaskEngine(one)).rejects.toMatchObject({ code: 'schema_unknown' });
      await expect(tasks.start({ ...startOptions, postgresUrl: new Secret(String(startOptions.postgresUrl)) })).rejects.toMatchObject({
        code: 'schema_unknown',
      });
    }
  });
});
