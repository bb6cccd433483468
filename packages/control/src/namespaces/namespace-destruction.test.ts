import { SallyportError } from '@sallyport/sdk';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { requireIndexed } from '../database/testing/query-plan.test.support.js';
import type { DestructionStep, OnNamespaceDestroyed } from './namespace-destruction.js';
import { everywhere } from './namespace-matcher.js';
import { openDestructionOf, selectNextDestruction, selectNextToDestroy } from './namespace-store.js';
import type { Namespaces } from './namespaces.js';
import { stageOn, who } from './namespaces.test.support.js';

async function untilDone(namespaces: Namespaces, batchSize = 2): Promise<readonly DestructionStep[]> {
  const steps: DestructionStep[] = [];
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
    const { namespaces, wait } = stageOn(database, [shred]);
    for (const path of ['root.a.b', 'root.a.c', 'root.a.d', 'root.a.e']) await namespaces.ensure(path, who);
    const { id } = await namespaces.destroy('root.a', who);
    const steps = await untilDone(namespaces);
    expect(steps.at(-1)).toMatchObject({ destroyed: 2, finished: false, failures: 1, failure: 'internal_error', error: { message: 'killed' } });
    expect(await states(namespaces)).toEqual({ root: 'active', 'root.a': 'destroying', 'root.a.b': 'destroying', 'root.a.c': 'destroying' });
    wait(600_000);
    expect((await untilDone(namespaces)).at(-1)).toMatchObject({ finished: true });
    expect(await namespaces.destructionProgress(id)).toMatchObject({ destroyed: 5, finished: true, failures: 0, failure: null });
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

  test('that fails every time keeps nobody else back, is tried again, and says so', async () => {
    const failing = new Set(['root.a']);
    const asked: string[] = [];
    const shred: OnNamespaceDestroyed = async ({ path }) => {
      asked.push(path);
      if (failing.has(path)) throw new SallyportError('key_unavailable');
      return 'done';
    };
    const { namespaces, wait } = stageOn(await databases.open(), [shred]);
    for (const path of ['root.a', 'root.b', 'root.c']) await namespaces.create(path, who);
    const a = await namespaces.destroy('root.a', who);
    await namespaces.destroy('root.b', who);
    await untilDone(namespaces);
    expect(asked).toEqual(['root.a', 'root.b']);
    expect(await states(namespaces)).toEqual({ root: 'active', 'root.a': 'destroying', 'root.c': 'active' });
    for (let failures = 2; failures <= 30; failures += 1) {
      wait(600_000);
      if (failures === 30) await namespaces.destroy('root.c', who);
      await untilDone(namespaces);
      expect(await namespaces.destructionProgress(a.id)).toMatchObject({ failures, failure: 'key_unavailable', finished: false });
    }
    expect(await states(namespaces)).toEqual({ root: 'active', 'root.a': 'destroying' });
    expect(await untilDone(namespaces)).toEqual([]);
    failing.clear();
    wait(600_000);
    await untilDone(namespaces);
    expect(await states(namespaces)).toEqual({ root: 'active' });
    expect(await namespaces.destructionProgress(a.id)).toMatchObject({ failures: 0, failure: null, finished: true, destroyed: 1 });
  });

  test('that was interrupted has not failed', async () => {
    const abort = new AbortController();
    const shred: OnNamespaceDestroyed = async ({ signal }) => {
      abort.abort(new Error('stopping'));
      signal?.throwIfAborted();
      return 'done';
    };
    const { namespaces } = stageOn(await databases.open(), [shred]);
    await namespaces.create('root.a', who);
    const { id } = await namespaces.destroy('root.a', who);
    await expect(namespaces.destroyNextBatch({ signal: abort.signal })).rejects.toThrow('stopping');
    expect(await namespaces.destructionProgress(id)).toMatchObject({ failures: 0, failure: null, finished: false });
    await untilDone(namespaces);
    expect(await states(namespaces)).toEqual({ root: 'active' });
  });

  test.each([1, 2, 3, 4])('of 4 namespaces by batches of %i ends with its last namespace, and leaves alone who takes the path then', async (size) => {
    const shredded: string[] = [];
    const shred: OnNamespaceDestroyed = async ({ path }) => {
      shredded.push(path);
      return 'done';
    };
    const { namespaces } = stageOn(await databases.open(), [shred]);
    for (const name of 'bcd') await namespaces.ensure(`root.a.${name}`, who);
    const old = await namespaces.destroy('root.a', who);
    while ((await namespaces.get('root.a').catch(() => undefined)) !== undefined) await namespaces.destroyNextBatch({ batchSize: size });
    expect(await namespaces.destructionProgress(old.id)).toMatchObject({ destroyed: 4, finished: true });
    await namespaces.ensure('root.a.b', who);
    await untilDone(namespaces);
    expect(await states(namespaces)).toEqual({ root: 'active', 'root.a': 'active', 'root.a.b': 'active' });
    expect(shredded).toHaveLength(4);
    const next = await namespaces.destroy('root.a', who);
    expect(next).toMatchObject({ total: 2, destroyed: 0, finished: false });
    expect(next.id).not.toBe(old.id);
    await untilDone(namespaces);
    expect(await namespaces.destructionProgress(next.id)).toMatchObject({ destroyed: 2, finished: true });
    expect(await namespaces.destructionProgress(old.id)).toMatchObject({ destroyed: 4, finished: true });
  });

  test('that is still open from before leaves alone what is active', async () => {
    const database = await databases.open();
    const { namespaces } = stageOn(database);
    await namespaces.ensure('root.a.b', who);
    const { id } = await namespaces.destroy('root.a', who);
    await untilDone(namespaces);
    await sql`update namespace_destructions set finished_at = null where id = ${id}`.execute(database.db);
    await namespaces.ensure('root.a.b', who);
    await untilDone(namespaces);
    expect(await states(namespaces)).toEqual({ root: 'active', 'root.a': 'active', 'root.a.b': 'active' });
    expect(await namespaces.destructionProgress(id)).toMatchObject({ finished: true });
  });

  test('of a parent ends the failing one below it together with its namespaces', async () => {
    let fails = true;
    const shred: OnNamespaceDestroyed = async ({ path }) => {
      if (fails && path === 'root.a.b') throw new Error('not yet');
      return 'done';
    };
    const database = await databases.open();
    const { namespaces, audit, wait } = stageOn(database, [shred]);
    await namespaces.ensure('root.a.b', who);
    const below = await namespaces.destroy('root.a.b', who);
    await untilDone(namespaces);
    fails = false;
    const above = await namespaces.destroy('root.a', who);
    await untilDone(namespaces);
    expect(await namespaces.destructionProgress(above.id)).toMatchObject({ finished: true, destroyed: 2 });
    expect(await namespaces.destructionProgress(below.id)).toMatchObject({ finished: true, destroyed: 0, failures: 0, failure: null });
    await namespaces.ensure('root.a.b', who);
    expect(await openDestructionOf(database.db, ['root.a.b', 'root.a'])).toBeUndefined();
    wait(600_000);
    expect(await untilDone(namespaces)).toEqual([]);
    const ended = (await audit.list({ filter: { action: 'namespaces.destroyed' } }, everywhere)).items;
    expect(ended.map(({ resourceId }) => resourceId).toSorted()).toEqual(['root.a', 'root.a.b']);
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
    await requireIndexed(database, selectNextDestruction(database.db, 5).compile());
  });
});
