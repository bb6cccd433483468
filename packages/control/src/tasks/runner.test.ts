import { SallyportError } from '@sallyport/sdk';
import { sql } from 'kysely';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import type { DatabaseOptions } from '../database/open-database.js';
import { describeOnBoth, type TestDatabases, testSealer } from '../database/testing/databases.test.support.js';
import { everywhere } from '../namespaces/namespace-matcher.js';
import type { TaskRunner } from './runner.js';
import { defineTask, retryDelayMs, type Task } from './task.js';
import type { StartOptions, TasksOptions } from './tasks.js';
import { gate, migrateAll, type Stage, stageOn, taskOf, until, who } from './tasks.test.support.js';

interface RunningStage extends Stage {
  readonly options: DatabaseOptions;
  start(more?: StartOptions): Promise<TaskRunner>;
}

const started: TaskRunner[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((runner) => runner.stop({ drainMs: 0 })));
});

async function stage(
  databases: TestDatabases,
  tasks: readonly Task[],
  more: Partial<TasksOptions> = {},
  on?: DatabaseOptions,
): Promise<RunningStage> {
  const options = on ?? (await databases.empty());
  const database = databases.opened(options);
  if (on === undefined) await migrateAll(database);
  const made = stageOn(database, options, { tasks, ...more }, testSealer);
  const start = async (given: StartOptions = {}): Promise<TaskRunner> => {
    const runner = await made.tasks.start({ ...made.startOptions, ...given });
    started.push(runner);
    return runner;
  };
  return { ...made, options, start };
}

test('the pause before the next attempt is by chance below a bound that doubles', () => {
  const policy = { baseMs: 100, maxMs: 1_000 };
  expect([1, 2, 3, 4, 5, 40].map((attempt) => retryDelayMs(policy, attempt, () => 0.999_999))).toEqual([99, 199, 399, 799, 999, 999]);
  expect(retryDelayMs(policy, 3, () => 0)).toBe(0);
});

describeOnBoth('a runner', (databases) => {
  test('runs what is enqueued before and after it begins, and keeps what it answers', async () => {
    const greet = defineTask({ name: 'greet', schema: z.object({ name: z.string() }), run: async ({ payload }) => ({ hello: payload.name }) });
    const { tasks, database, reached, start, problems } = await stage(databases, [greet]);
    const before = await tasks.enqueue(database.db, 'greet', { name: 'a' });
    await start();
    const after = await database.transaction((trx) => tasks.enqueue(trx, 'greet', { name: 'b' }));
    expect(await reached(before.id, 'succeeded')).toMatchObject({ result: { hello: 'a' }, attempts: 1, error: undefined, runAt: undefined });
    expect(await reached(after.id, 'succeeded')).toMatchObject({ result: { hello: 'b' } });
    expect((await tasks.get(after.id)).finishedAt).toBeDefined();
    await expect(tasks.cancel(after.id, who)).rejects.toMatchObject({ code: 'task_state_conflict' });
    await expect(tasks.retry(after.id, who)).rejects.toMatchObject({ code: 'task_state_conflict' });
    await expect(start()).rejects.toThrow('already');
    if (database.dialect === 'postgres') {
      await until(async () => (await sql`select 1 from graphile_worker.jobs`.execute(database.db)).rows.length === 0);
    }
    expect(problems).toEqual([]);
  });

  test('leaves what is not due yet, and what it does not know', async () => {
    const [one, other] = [taskOf('one', async () => undefined), taskOf('other', async () => undefined)];
    const { tasks, database, options, reached } = await stage(databases, [one, other]);
    const later = await tasks.enqueue(database.db, 'one', {}, { runAt: Date.now() + 3_600_000 });
    const unknown = await tasks.enqueue(database.db, 'other', {});
    const second = await stage(databases, [one], {}, options);
    await second.start();
    const due = await tasks.enqueue(database.db, 'one', {});
    await reached(due.id, 'succeeded');
    expect([await tasks.get(later.id), await tasks.get(unknown.id)]).toMatchObject([{ state: 'pending' }, { state: 'pending' }]);
    await tasks.retry(later.id, who);
    await reached(later.id, 'succeeded');
  });

  test('tries again what fails, until it is dead; then it can be put back', async () => {
    let healthy = false;
    const seen: number[] = [];
    const flaky = taskOf('flaky', async ({ attempt }) => {
      seen.push(attempt);
      if (!healthy) throw new SallyportError('database_busy', { detail: 'try later' });
      return undefined;
    });
    const { tasks, database, reached, start, problems } = await stage(databases, [flaky]);
    await start();
    const { id } = await tasks.enqueue(database.db, 'flaky', {});
    expect(await reached(id, 'dead')).toMatchObject({ attempts: 3, maxAttempts: 3, error: { code: 'database_busy', detail: 'try later' } });
    expect(seen).toEqual([1, 2, 3]);
    expect(problems).toHaveLength(3);
    healthy = true;
    await tasks.retry(id, who);
    expect(await reached(id, 'succeeded')).toMatchObject({ attempts: 1, error: undefined });
  });

  test('shows of errors that are not ours nothing but the kind', async () => {
    const leaky = taskOf(
      'leaky',
      async () => {
        throw new TypeError('https://user:hunter2@example.com');
      },
      { attempts: 1 },
    );
    const { tasks, database, reached, start } = await stage(databases, [leaky]);
    await start();
    const { id } = await tasks.enqueue(database.db, 'leaky', {});
    const record = await reached(id, 'dead');
    expect(record.error).toEqual({ code: 'internal_error', detail: 'TypeError' });
    expect(JSON.stringify((await sql`select * from tasks`.execute(database.db)).rows)).not.toContain('hunter2');
  });

  test('does not try again what another release enqueued and this one cannot read', async () => {
    const loose = taskOf('shape', async () => undefined);
    const strict = defineTask({ name: 'shape', schema: z.object({ size: z.number() }), run: async () => undefined });
    const { tasks, database, options, reached } = await stage(databases, [loose]);
    const { id } = await tasks.enqueue(database.db, 'shape', { size: 'large' });
    await (await stage(databases, [strict], {}, options)).start();
    expect(await reached(id, 'dead')).toMatchObject({ attempts: 1, error: { code: 'task_payload_invalid' } });
  });

  test('ends an attempt that takes too long, and that was one', async () => {
    const slow = taskOf('slow', ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))), {
      timeoutMs: 20,
      attempts: 2,
    });
    const { tasks, database, reached, start } = await stage(databases, [slow]);
    await start();
    const { id } = await tasks.enqueue(database.db, 'slow', {});
    expect(await reached(id, 'dead')).toMatchObject({ attempts: 2, error: { code: 'task_timed_out' } });
  });

  test('ends what is cancelled, also from another process', async () => {
    const hanging = taskOf('hanging', ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))));
    const { tasks, database, options, reached, start } = await stage(databases, [hanging]);
    const other = await stage(databases, [hanging], {}, options);
    await start();
    for (const canceller of [tasks, other.tasks]) {
      const { id } = await tasks.enqueue(database.db, 'hanging', {});
      await reached(id, 'running');
      await canceller.cancel(id, who);
      expect(await reached(id, 'cancelled')).toMatchObject({ attempts: 1, runAt: undefined, error: undefined });
    }
  });

  test('notes how far the work is, now and then, and at the end', async () => {
    const [half, finish] = [gate(), gate()];
    const counting = taskOf('counting', async ({ progress }) => {
      for (let done = 0; done <= 500; done += 1) progress({ done, total: 1_000 });
      await half.opened;
      for (let done = 501; done <= 1_000; done += 1) progress({ done, total: 1_000, note: 'x'.repeat(300) });
      await finish.opened;
      progress({ done: 1_000, total: 1_000, note: 'all of it' });
    });
    const { tasks, database, start, reached } = await stage(databases, [counting]);
    await start();
    const { id } = await tasks.enqueue(database.db, 'counting', {});
    await until(async () => (await tasks.get(id)).progress?.done === 500);
    half.open();
    await until(async () => (await tasks.get(id)).progress?.note?.length === 200);
    finish.open();
    expect((await reached(id, 'succeeded')).progress).toEqual({ done: 1_000, total: 1_000, note: 'all of it' });
  });

  test('runs no more at once than it may, and a singleton never twice, in whichever process', async () => {
    let [running, most, alone, mostAlone] = [0, 0, 0, 0];
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const many = taskOf('many', async () => {
      running += 1;
      most = Math.max(most, running);
      for (let index = 0; index < 20; index += 1) await turn();
      running -= 1;
    });
    const single = taskOf(
      'single',
      async () => {
        alone += 1;
        mostAlone = Math.max(mostAlone, alone);
        for (let index = 0; index < 20; index += 1) await turn();
        alone -= 1;
      },
      { singleton: true },
    );
    const { tasks, database, options, reached, start } = await stage(databases, [many, single]);
    const ids: string[] = [];
    for (let index = 0; index < 24; index += 1) ids.push((await tasks.enqueue(database.db, index % 3 === 0 ? 'single' : 'many', {})).id);
    await start({ concurrency: 2 });
    await (await stage(databases, [many, single], {}, options)).start({ concurrency: 2 });
    for (const id of ids) await reached(id, 'succeeded');
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
    expect(mostAlone).toBe(1);
  }, 60_000);

  test('stops when what runs has ended, and takes nothing more', async () => {
    const [begun, finish] = [gate(), gate()];
    const working = taskOf('working', async () => {
      begun.open();
      await finish.opened;
      return 'done';
    });
    const { tasks, database, start } = await stage(databases, [working]);
    const runner = await start({ concurrency: 1 });
    const first = await tasks.enqueue(database.db, 'working', {});
    await begun.opened;
    const second = await tasks.enqueue(database.db, 'working', {});
    const stopping = runner.stop({ drainMs: 30_000 });
    finish.open();
    expect(await stopping).toBe(true);
    expect(await tasks.get(first.id)).toMatchObject({ state: 'succeeded', result: 'done' });
    expect(await tasks.get(second.id)).toMatchObject({ state: 'pending', attempts: 0 });
    expect((await sql`select 1 from task_runners`.execute(database.db)).rows).toEqual([]);
    await start();
    await until(async () => (await tasks.get(second.id)).state === 'succeeded');
  });

  test('aborts what does not end in time, and that was no attempt', async () => {
    const hanging = taskOf(
      'hanging',
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('interrupted')))),
      { attempts: 1 },
    );
    const { tasks, database, reached, start } = await stage(databases, [hanging]);
    const runner = await start();
    const { id } = await tasks.enqueue(database.db, 'hanging', {});
    await reached(id, 'running');
    expect(await runner.stop({ drainMs: 1 })).toBe(true);
    expect(await tasks.get(id)).toMatchObject({ state: 'pending', attempts: 0, error: undefined });
    await start();
    await reached(id, 'running');
  });

  test('that has lost its lease ends its work, writes nothing of it, and begins anew; another does the work', async () => {
    const seen: string[] = [];
    const finish = gate();
    const lost = taskOf('lost', async ({ attempt, signal }) => {
      if (attempt === 1) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      seen.push(`${attempt} ${(signal.reason as { code?: string } | undefined)?.code ?? 'runs'}`);
      await finish.opened;
      return attempt;
    });
    const { tasks, database, reached, start } = await stage(databases, [lost]);
    await start({ leaseMs: 3_000 });
    const { id } = await tasks.enqueue(database.db, 'lost', {});
    await reached(id, 'running');
    await sql`delete from task_runners`.execute(database.db);
    await until(() => seen.length === 2);
    finish.open();
    expect(await reached(id, 'succeeded')).toMatchObject({ attempts: 2, result: 2 });
    expect(seen.sort()).toEqual(['1 task_interrupted', '2 runs']);
  });

  test('makes what kills its process dead after the last attempt', async () => {
    const { tasks, database, options, reached } = await stage(databases, [taskOf('poison', async () => undefined, { attempts: 1 })]);
    const { id } = await tasks.enqueue(database.db, 'poison', {});
    await sql`update tasks set state = 'running', run_at = null, lease_owner = 'trn_gone', attempts = 1, fence = 1`.execute(database.db);
    await (await stage(databases, [taskOf('poison', async () => undefined)], {}, options)).start();
    expect(await reached(id, 'dead')).toMatchObject({ error: { code: 'task_interrupted' }, attempts: 1 });
  });

  test('deletes what has been finished for long enough, and dead tasks later', async () => {
    const [good, bad] = [
      taskOf('good', async () => undefined),
      taskOf(
        'bad',
        async () => {
          throw new Error('bad');
        },
        { attempts: 1 },
      ),
    ];
    const { tasks, database, reached, start } = await stage(databases, [good, bad], { retentionMs: 0, deadRetentionMs: 60_000 });
    const runner = await start();
    const ids = [await tasks.enqueue(database.db, 'good', {}), await tasks.enqueue(database.db, 'bad', {})].map(({ id }) => id);
    await reached(ids[0] ?? '', 'succeeded');
    await reached(ids[1] ?? '', 'dead');
    await runner.stop();
    await start();
    await until(async () => (await tasks.list({}, everywhere)).items.length === 1);
    expect((await tasks.list({}, everywhere)).items).toMatchObject([{ state: 'dead' }]);
  });

  test('goes on after the database could not be used for a time', async () => {
    const { tasks, database, options, reached, start, problems } = await stage(databases, [taskOf('noop', async () => undefined)]);
    const quick = databases.opened(options.provider === 'sqlite' ? { ...options, busyTimeoutMs: 250 } : options);
    const other = stageOn(quick, options, { tasks: [taskOf('noop', async () => undefined)] }, testSealer);
    await start();
    const runner = await other.tasks.start(other.startOptions);
    started.push(runner);
    if (database.dialect === 'sqlite') {
      const { id } = await tasks.enqueue(database.db, 'noop', {}, { runAt: Date.now() + 200 });
      // Somebody else writes for so long that nobody can take the task.
      await database.transaction(() => until(() => other.problems.length > 0));
      await reached(id, 'succeeded');
      expect(other.problems).toContainEqual(expect.objectContaining({ code: 'database_busy' }));
    } else {
      await until(() => tasks.health().polling);
      const cut = sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sallyport tasks'`;
      await cut.execute(database.db);
      await until(() => problems.length > 0);
      for (let index = 0; index < 5; index += 1) await reached((await tasks.enqueue(database.db, 'noop', {})).id, 'succeeded');
    }
    await until(() => tasks.health().polling && tasks.health().problem === undefined);
  });

  test('finds what waits without a ticket of the engine', async () => {
    const { tasks, database, reached, start } = await stage(databases, [taskOf('noop', async () => undefined, { singleton: true })]);
    const { id } = await tasks.enqueue(database.db, 'noop', {});
    if (database.dialect === 'postgres')
      await sql`select graphile_worker.complete_jobs(array(select id from graphile_worker.jobs))`.execute(database.db);
    await start();
    await reached(id, 'succeeded');
  });

  test('says truthfully how it is', async () => {
    const { tasks, start } = await stage(databases, [taskOf('noop', async () => undefined)], { cron: [{ task: 'noop', schedule: '0 0 1 1 *' }] });
    const stopped = { polling: false, cron: 'none', lastContactAt: undefined, running: 0, problem: undefined };
    expect(tasks.health()).toEqual(stopped);
    const runner = await start();
    await until(() => tasks.health().polling && tasks.health().cron === 'scheduled' && tasks.health().lastContactAt !== undefined);
    await runner.stop();
    expect(tasks.health()).toEqual(stopped);
  });

  test('makes up for the last tick that was missed, once among all', async () => {
    const due = new Date(Date.now() - 2 * 3_600_000);
    // Every hour up to two hours ago: two were missed in the last day, and more before.
    const schedule = `${due.getUTCMinutes()} ${(due.getUTCHours() + 23) % 24},${due.getUTCHours()} * * *`;
    const ticking = taskOf('ticking', async () => undefined);
    const cron = [{ task: 'ticking', schedule, payload: { from: 'cron' } }];
    const { tasks, database, options, start } = await stage(databases, [ticking], { cron });
    const since = Date.now() - 40 * 3_600_000;
    const name = `cron ticking ${schedule}`;
    if (database.dialect === 'sqlite') {
      await sql`insert into task_schedules (name, last_tick) values (${name}, ${since})`.execute(database.db);
    } else {
      await sql`insert into graphile_worker._private_known_crontabs (identifier, known_since, last_execution)
        values (${name}, ${new Date(since)}, ${new Date(since)})`.execute(database.db);
    }
    const other = await stage(databases, [ticking], { cron }, options);
    await Promise.all([start(), other.start()]);
    const record = await until(async () => (await tasks.list({}, everywhere)).items.find(({ state }) => state === 'succeeded'));
    expect(record).toMatchObject({ name: 'ticking', payload: { from: 'cron' }, jobKey: name, createdBy: 'system' });
    await until(() => tasks.health().cron === 'scheduled' && other.tasks.health().cron === 'scheduled');
    if (database.dialect === 'postgres') {
      await until(async () => (await sql`select 1 from graphile_worker.jobs`.execute(database.db)).rows.length === 0);
    }
    expect((await tasks.list({}, everywhere)).items).toHaveLength(1);
  });
});
