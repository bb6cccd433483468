import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { parseSchedule } from '../tasks/schedule.js';
import type { TaskProgress } from '../tasks/task.js';
import { keyCron, keyTasks } from './key-tasks.js';
import { createThings, type KeysStage, type KeysStageOptions, openKeysStage, tester } from './keys-stage.test.support.js';
import { parseProviderConfig } from './provider-config.js';

const DAY_MS = 86_400_000;

describeOnBoth('the tasks of keys', (databases) => {
  async function staged(options: KeysStageOptions = {}) {
    const database = await databases.open();
    await createThings(database);
    return { ...(await openKeysStage(database, options)), database };
  }

  const tasksOf = ({ service: keys, reencryption, retirement, rotation }: KeysStage) =>
    keyTasks({ keys, reencryption, retirement, rotation, upkeep: { rotateAfterMs: 90 * DAY_MS, destroyAfterMs: DAY_MS } });

  /** Runs one attempt of a task, and collects its progress. */
  async function run(stage: KeysStage, name: string, signal = new AbortController().signal) {
    const task = tasksOf(stage).find((each) => each.name === name);
    if (task === undefined) throw new Error(`There is no task ${name}.`);
    const seen: TaskProgress[] = [];
    const result = await task.run({}, { id: 'tsk_1', namespace: 'root', attempt: 1, signal, progress: (progress) => void seen.push(progress) });
    return { result, seen };
  }

  const damage = (database: Database, id: string) =>
    sql`update things set secret = (select secret from things where id <> ${id} order by id limit 1) where id = ${id}`.execute(database.db);

  test('each of them is due by the clock, and runs once at a time', async () => {
    const stage = await staged();
    const tasks = tasksOf(stage);
    expect(keyCron.map(({ task }) => task).toSorted()).toEqual(tasks.map(({ name }) => name).toSorted());
    for (const { schedule } of keyCron) expect(() => parseSchedule(schedule)).not.toThrow();
    for (const { singleton, faultOf } of tasks) expect([singleton, faultOf({}), faultOf({ x: 1 }) === undefined]).toEqual([true, undefined, false]);
  });

  test('new material at a provider is noticed, re-encryption moves what is there, and the old version goes a day later', async () => {
    let time = Date.now();
    const env: Record<string, string> = { KEY: 'the first material' };
    const rules = [{ namespaces: ['root.**'], providers: ['env_var'], env: ['KEY'] }] as const;
    const stage = await staged({ env, rules, pageSize: 2, now: () => time });
    const key = await stage.service.create({ namespace: 'root.a', keyData: { env_var: 'KEY' } }, tester);
    await stage.service.assign('root.a', key.id, tester);
    for (const id of ['1', '2', '3', '4', '5']) await stage.write(id, 'root.a', `secret ${id}`);
    env.KEY = 'the second material';
    expect((await run(stage, 'keys.sync')).result).toEqual({ checked: 2, rotated: 1, failed: 0, failures: [] });
    const { result, seen } = await run(stage, 'keys.reencrypt');
    expect(result).toEqual({ changed: 5 });
    expect(seen[0]).toMatchObject({ done: 0 });
    expect(seen.at(-1)?.done).toBeGreaterThanOrEqual(5);
    expect((await run(stage, 'keys.retire')).result).toEqual({ retired: 1, destroyed: 0 });
    time += DAY_MS - 1;
    expect((await run(stage, 'keys.retire')).result).toEqual({ retired: 0, destroyed: 0 });
    time += 1;
    expect((await run(stage, 'keys.retire')).result).toEqual({ retired: 0, destroyed: 1 });
    for (const id of ['1', '2', '3', '4', '5']) expect(await stage.read(id)).toBe(`secret ${id}`);
  });

  test('a key whose version has grown old gets a new one, and every other stays as it is', async () => {
    let time = Date.now();
    const stage = await staged({ now: () => time });
    const old = await stage.service.create({ namespace: 'root.a', keyData: { value: 'the material of an old key' } }, tester);
    const disabled = await stage.service.create({ namespace: 'root.a', keyData: { value: 'the material of a disabled key' } }, tester);
    await stage.service.update(disabled.id, { state: 'disabled' }, tester);
    time += 60 * DAY_MS;
    const young = await stage.service.create({ namespace: 'root.b', keyData: { value: 'the material of a young key' } }, tester);
    expect((await run(stage, 'keys.rotate')).result).toEqual({ rotated: 0 });
    time += 30 * DAY_MS;
    // The old one, and the global key.
    expect((await run(stage, 'keys.rotate')).result).toEqual({ rotated: 2 });
    expect((await run(stage, 'keys.rotate')).result).toEqual({ rotated: 0 });
    const versions = await Promise.all([old, disabled, young].map(async ({ id }) => (await stage.versions(id)).length));
    expect(versions).toEqual([2, 1, 1]);
  });

  test('a run that was left unfinished is finished, and followed by a whole one', async () => {
    const stage = await staged({ pageSize: 2 });
    for (const id of ['1', '2', '3', '4', '5']) await stage.write(id, 'root', `secret ${id}`);
    await stage.service.rotate('key_global', tester);
    expect(await stage.reencryption.begin()).toBe(true);
    while ((await stage.reencryption.progress()).every(({ changed }) => changed === 0)) await stage.reencryption.step(new AbortController().signal);
    await stage.service.rotate('key_global', tester);
    const { result } = await run(stage, 'keys.reencrypt');
    const [active] = await stage.versions('key_global');
    for (const id of ['1', '2', '3', '4', '5']) expect(await stage.versionOf(id)).toBe(active?.id);
    expect(result).toEqual({ changed: 2 });
  });

  test('values that cannot be re-encrypted fail the task, after all the others are done', async () => {
    const stage = await staged({ pageSize: 2 });
    for (const id of ['1', '2', '3', '4']) await stage.write(id, 'root', `secret ${id}`);
    await damage(stage.database, '3');
    await stage.service.rotate('key_global', tester);
    await expect(run(stage, 'keys.reencrypt')).rejects.toMatchObject({
      code: 'reencryption_incomplete',
      message: expect.stringContaining('things.secret of 3: ciphertext_invalid'),
    });
    const [active] = await stage.versions('key_global');
    expect([await stage.versionOf('1'), await stage.versionOf('2'), await stage.versionOf('4')]).toEqual([active?.id, active?.id, active?.id]);
    expect((await run(stage, 'keys.retire')).result).toEqual({ retired: 0, destroyed: 0 });
  });

  test('the global key fails the synchronisation, the key of a tenant does not', async () => {
    const env: Record<string, string> = { A: 'the material of the tenant' };
    const rules = [{ namespaces: ['root.**'], providers: ['env_var'], env: ['A'] }] as const;
    const stage = await staged({ env, rules });
    const key = await stage.service.create({ namespace: 'root.a', keyData: { env_var: 'A' } }, tester);
    env.A = '';
    expect((await run(stage, 'keys.sync')).result).toMatchObject({ failed: 1, failures: [{ key_id: key.id, code: 'key_provider_failed' }] });
    const moved = await openKeysStage(stage.database, { env, globalKey: { current: parseProviderConfig({ value: 'other material than before' }) } });
    await expect(run(moved, 'keys.sync')).rejects.toMatchObject({ code: 'key_provider_failed' });
  });

  test('an abort ends each of them', async () => {
    const stage = await staged();
    await stage.write('1', 'root', 'secret');
    await stage.service.rotate('key_global', tester);
    const abort = new AbortController();
    abort.abort(new Error('enough'));
    for (const { task } of keyCron) await expect(run(stage, task, abort.signal)).rejects.toThrow('enough');
    expect(await stage.read('1')).toBe('secret');
  });
});
