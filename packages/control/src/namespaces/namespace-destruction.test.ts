import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { requireIndexed } from '../database/testing/query-plan.test.support.js';
import type { DestructionProgress, OnNamespaceDestroyed } from './namespace-destruction.js';
import { everywhere } from './namespace-matcher.js';
import { selectNextToDestroy } from './namespace-store.js';
import type { Namespaces } from './namespaces.js';
import { stageOn, who } from './namespaces.test.support.js';

async function untilDone(namespaces: Namespaces, batchSize = 2): Promise<readonly DestructionProgress[]> {
  const steps: DestructionProgress[] = [];
  for (;;) {
    const step = await namespaces.destroyNextBatch({ batchSize });
    if (step === undefined) return steps;
    steps.push(step);
  }
}

const states = async (namespaces: Namespaces): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries((await namespaces.list({}, everywhere)).items.map(({ path, state }) => [path, state]));

describeOnBoth('the deletion of a namespace', (databases) => {
  test('closes the subtree at once, destroys it from its leaves, and leaves the neighbours', async () => {
    const shredded: string[] = [];
    const shred: OnNamespaceDestroyed = async ({ path }) => {
      shredded.push(path);
      return 'done';
    };
    const { namespaces, audit } = stageOn(await databases.open(), [shred]);
    for (const path of ['root.a.b.c', 'root.a.d', 'root.a-x', 'root.ab']) await namespaces.ensure(path, who);
    const begun = await namespaces.destroy('root.a', who);
    expect(begun).toMatchObject({ path: 'root.a', total: 4, destroyed: 0, finished: false });
    expect(await states(namespaces)).toMatchObject({
      root: 'active',
      'root.a': 'destroying',
      'root.a.b.c': 'destroying',
      'root.a-x': 'active',
      'root.ab': 'active',
    });
    await expect(namespaces.create('root.a.b.e', who)).rejects.toMatchObject({ code: 'namespace_not_active', status: 409 });
    await expect(namespaces.ensure('root.a.b.e', who)).rejects.toMatchObject({ code: 'namespace_not_active' });
    await expect(namespaces.update('root.a.b', who, async () => ({}))).rejects.toMatchObject({ code: 'namespace_not_active' });

    const steps = await untilDone(namespaces);
    expect(steps.at(-1)).toMatchObject({ id: begun.id, destroyed: 4, finished: true });
    expect(await namespaces.destructionProgress(begun.id)).toMatchObject({ total: 4, destroyed: 4, finished: true });
    expect(shredded).toEqual(['root.a.d', 'root.a.b.c', 'root.a.b', 'root.a']);
    expect(Object.keys(await states(namespaces))).toEqual(['root', 'root.a-x', 'root.ab']);
    await expect(namespaces.get('root.a.b')).rejects.toMatchObject({ code: 'namespace_not_found' });
    const actions = (await audit.list({ filter: { resource_id: 'root.a', resource_type: 'namespaces' } }, everywhere)).items;
    expect(actions.map(({ action, actorId, requestId }) => [action, actorId, requestId])).toEqual([
      ['namespaces.destroyed', 'system', 'req_test'],
      ['namespaces.delete', 'act_test', 'req_test'],
      ['namespaces.create', 'act_test', 'req_test'],
    ]);
  });

  test('is resumed where it was when a batch fails: what was shredded in that batch is back, and is shredded again', async () => {
    const database = await databases.open();
    await sql`create table shredded (path text primary key)`.execute(database.db);
    let calls = 0;
    const shred: OnNamespaceDestroyed = async ({ path, trx }) => {
      await sql`insert into shredded (path) values (${path})`.execute(trx);
      calls += 1;
      if (calls === 4) throw new Error('killed');
      return 'done';
    };
    const { namespaces } = stageOn(database, [shred]);
    for (const path of ['root.a.b', 'root.a.c', 'root.a.d', 'root.a.e']) await namespaces.ensure(path, who);
    await namespaces.destroy('root.a', who);
    await expect(untilDone(namespaces)).rejects.toThrow('killed');
    expect(await states(namespaces)).toEqual({ root: 'active', 'root.a': 'destroying', 'root.a.b': 'destroying', 'root.a.c': 'destroying' });
    await untilDone(namespaces);
    const { rows } = await sql<{ path: string }>`select path from shredded order by path`.execute(database.db);
    expect(rows.map(({ path }) => path)).toEqual(['root.a', 'root.a.b', 'root.a.c', 'root.a.d', 'root.a.e']);
  });

  test('waits for a hook that needs more than one batch', async () => {
    let left = 3;
    const shred: OnNamespaceDestroyed = async ({ path }) => {
      if (path !== 'root.a' || left === 0) return 'done';
      left -= 1;
      return 'more';
    };
    const { namespaces } = stageOn(await databases.open(), [shred]);
    await namespaces.ensure('root.a.b', who);
    await namespaces.destroy('root.a', who);
    const steps = await untilDone(namespaces, 10);
    expect(steps.map(({ destroyed, finished }) => [destroyed, finished])).toEqual([
      [1, false],
      [1, false],
      [1, false],
      [2, true],
    ]);
  });

  test('that is asked for again is the one that is under way, also from below', async () => {
    const { namespaces } = stageOn(await databases.open());
    await namespaces.ensure('root.a.b', who);
    const begun = await namespaces.destroy('root.a', who, [1]);
    expect(await namespaces.destroy('root.a', who, [1])).toEqual(begun);
    expect(await namespaces.destroy('root.a.b', who)).toEqual(begun);
  });

  test('of a parent takes over what is being deleted below it', async () => {
    const { namespaces } = stageOn(await databases.open());
    await namespaces.ensure('root.a.b.c', who);
    const below = await namespaces.destroy('root.a.b', who);
    const above = await namespaces.destroy('root.a', who);
    expect([below.total, above.total]).toEqual([2, 3]);
    await untilDone(namespaces, 1);
    expect(await namespaces.destructionProgress(below.id)).toMatchObject({ finished: true, destroyed: 2 });
    expect(await namespaces.destructionProgress(above.id)).toMatchObject({ finished: true, destroyed: 1 });
    expect(await states(namespaces)).toEqual({ root: 'active' });
  });

  test('frees the path; what is left of the old one goes with the purge', async () => {
    const { namespaces } = stageOn(await databases.open());
    await namespaces.create('root.a', who);
    await namespaces.destroy('root.a', who);
    await untilDone(namespaces);
    expect(await namespaces.create('root.a', who)).toMatchObject({ state: 'active', version: 1 });
    expect(await namespaces.purge(1_000_000)).toBe(0);
    expect(await namespaces.purge(0)).toBe(1);
    expect(await namespaces.purge(0)).toBe(0);
    expect(await states(namespaces)).toEqual({ root: 'active', 'root.a': 'active' });
  });

  test('is refused for the root, for what is not there, and for one who has not seen the last version', async () => {
    const { namespaces } = stageOn(await databases.open());
    await namespaces.create('root.a', who);
    await expect(namespaces.destroy('root', who)).rejects.toMatchObject({ code: 'namespace_protected', status: 409 });
    await expect(namespaces.destroy('root.x', who)).rejects.toMatchObject({ code: 'namespace_not_found' });
    await expect(namespaces.destroy('root.a', who, [9])).rejects.toMatchObject({ code: 'precondition_failed' });
    await expect(namespaces.destructionProgress('nsd_x')).rejects.toMatchObject({ code: 'namespace_not_found' });
    expect(await namespaces.destroyNextBatch()).toBeUndefined();
    expect(await states(namespaces)).toEqual({ root: 'active', 'root.a': 'active' });
  });

  test('by several workers at once shreds each namespace once', async () => {
    const options = await databases.empty();
    const database = databases.opened(options);
    await migrate(database);
    await sql`create table shredded (path text primary key)`.execute(database.db);
    const shred: OnNamespaceDestroyed = async ({ path, trx }) => {
      await sql`insert into shredded (path) values (${path})`.execute(trx);
      return 'done';
    };
    const { namespaces } = stageOn(database, [shred]);
    for (const name of 'bcdefg') await namespaces.ensure(`root.a.${name}`, who);
    await namespaces.destroy('root.a', who);
    const workers = [1, 2, 3].map(() => stageOn(databases.opened(options), [shred]).namespaces);
    await Promise.all(workers.map((worker) => untilDone(worker, 1)));
    await untilDone(namespaces, 1);
    expect((await sql`select path from shredded`.execute(database.db)).rows).toHaveLength(7);
    expect(await states(namespaces)).toEqual({ root: 'active' });
  });

  test('of which no child slips in: a namespace created meanwhile is in the deletion or refused', async () => {
    const options = await databases.empty();
    const database = databases.opened(options);
    await migrate(database);
    const { namespaces } = stageOn(database);
    const other = stageOn(databases.opened(options)).namespaces;
    await namespaces.create('root.a', who);
    await Promise.allSettled([namespaces.destroy('root.a', who), ...Array.from('bcdef', (name) => other.create(`root.a.${name}`, who))]);
    await untilDone(namespaces);
    expect(await states(namespaces)).toEqual({ root: 'active' });
  });

  test('finds its next namespaces by the index, in order', async () => {
    const database = await databases.open();
    await requireIndexed(database, selectNextToDestroy(database.db, 'root.a', 5).compile());
  });
});
