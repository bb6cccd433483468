import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Children, childrenOf } from '../database/testing/child-process.test.support.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { databaseWithTasks, followersOn } from '../namespaces/followers.test.support.js';
import { everywhere } from '../namespaces/namespace-matcher.js';
import { who } from '../namespaces/namespaces.test.support.js';
import { findCarry } from './label-carry-store.js';
import { labelsOf, updateLabels } from './label-service.js';

const BELOW = 79;
const KILLS = 3;

let processes: Children;
beforeAll(() => {
  processes = childrenOf('labels', ['database', 'database/migrations', 'namespaces', 'audit', 'tasks']);
});
afterAll(() => processes.close());

describeOnBoth('labels that are handed down by a process that is killed', (databases) => {
  test('arrive everywhere all the same, and nobody begins at the beginning', async () => {
    const { options, database } = await databaseWithTasks(databases);
    const { namespaces, tasks } = await followersOn(options, database);
    for (let index = 0; index < BELOW; index += 1) await namespaces.ensure(`root.a.n${String(index).padStart(3, '0')}`, who);
    await namespaces.update('root.a', who, async (trx) => {
      await updateLabels(trx, { type: 'ns', id: 'root.a' }, { labels: { env: 'prod' } });
      return {};
    });
    const env = { CARRY_DATABASE: JSON.stringify(options) };
    const positions: string[] = [];
    let killed = 0;
    for (let round = 0; round < KILLS; round += 1) {
      // In the first statements a runner takes its lease and the task; a page has about a dozen.
      const killAt = 40 + Math.floor(Math.random() * 30);
      if ((await processes.run('carry-child.test.support.js', { ...env, CARRY_KILL_AT: String(killAt) })).killed) killed += 1;
      const carry = await findCarry(database.db, 'root.a');
      positions.push(carry === undefined ? 'the end, which is after all paths' : (carry.after_position ?? ''));
    }
    await processes.run('carry-child.test.support.js', env);
    expect(killed).toBeGreaterThan(1);
    // Further from one life to the next.
    expect(positions).toEqual([...positions].sort());
    expect(positions.some((position) => position.startsWith('root.a.'))).toBe(true);
    const [task] = (await tasks.list({ filter: { name: 'labels.carry' } }, everywhere)).items;
    // Each was looked at once, in however many attempts that was.
    expect(task).toMatchObject({ state: 'succeeded', result: { done: BELOW + 1, changed: BELOW, refused: 0 } });
    expect(task?.attempts).toBeGreaterThan(1);
    const paths = (await namespaces.list({ limit: 1000, filter: { children_of: 'root.a' } }, everywhere)).items.map(({ path }) => path);
    const found = await labelsOf(database.db, 'ns', paths);
    expect(paths).toHaveLength(BELOW);
    for (const path of paths) expect(found.get(path)?.labels).toMatchObject({ 'apxy/ns/env': 'prod', 'apxy/ns/-/id': path });
    expect(await findCarry(database.db, 'root.a')).toBeUndefined();
  }, 180_000);
});
