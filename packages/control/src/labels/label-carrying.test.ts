import fc from 'fast-check';
import { CompiledQuery, sql } from 'kysely';
import { expect, test } from 'vitest';
import { systemRequester } from '../actors/actors.js';
import { labelledActors } from '../actors/labelled-actors.js';
import { isRetryable } from '../database/database-error.js';
import { describeOnBoth, type TestDatabases } from '../database/testing/databases.test.support.js';
import { requireIndexed } from '../database/testing/query-plan.test.support.js';
import { openCounted } from '../database/testing/statement-count.test.support.js';
import { labelledKeys } from '../keys/labelled-keys.js';
import { databaseWithTasks, type Followers, followersOn } from '../namespaces/followers.test.support.js';
import { everywhere } from '../namespaces/namespace-matcher.js';
import { parentOf } from '../namespaces/namespace-path.js';
import { selectTreeAfter } from '../namespaces/namespace-store.js';
import { who } from '../namespaces/namespaces.test.support.js';
import { gate } from '../tasks/tasks.test.support.js';
import { carriedLabels, type Identity, systemLabels } from './carried-labels.js';
import type { Labels } from './label-grammar.js';
import { labelsOf, updateLabels, userLabels } from './label-service.js';

async function stage(databases: TestDatabases, pageSize = 100): Promise<Followers> {
  const { options, database } = await databaseWithTasks(databases);
  return followersOn(options, database, { pageSize });
}

const relabel = ({ namespaces }: Followers, path: string, labels: Labels) =>
  namespaces.update(path, who, async (trx) => {
    await updateLabels(trx, { type: 'ns', id: path }, { labels });
    return {};
  });

const labelsAt = async ({ database }: Followers, type: string, id: string): Promise<Labels> =>
  (await labelsOf(database.db, type, [id])).get(id)?.labels ?? {};

const addActor = ({ actors }: Followers, namespace: string, external_id: string, labels = {}) =>
  actors.create({ namespace, external_id, labels }, systemRequester);

const waiting = async ({ tasks }: Followers) => (await tasks.list({ filter: { name: 'labels.carry' } }, everywhere)).items;

/** As a client does: what lost against others too often has changed nothing, and is tried again. */
async function unlessBusy<Result>(work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isRetryable(error)) throw error;
    }
  }
}

/** Everything that carries labels and what it should carry: worked out from the user labels alone, from the root down. */
async function expectAllRight(made: Followers): Promise<void> {
  const { database, namespaces, actors, keys } = made;
  const system = new Map<string, Labels>();
  const check = async (identity: Identity, parent: string | undefined): Promise<void> => {
    const found = await labelsAt(made, identity.kind, identity.id);
    const handed = parent === undefined ? [] : [carriedLabels('ns', { ...userLabels(await labelsAt(made, 'ns', parent)), ...system.get(parent) })];
    const expected = systemLabels(identity, handed);
    if (identity.kind === 'ns') system.set(identity.id, expected);
    expect({ id: identity.id, labels: found }).toEqual({ id: identity.id, labels: { ...userLabels(found), ...expected } });
  };
  for (const { path, name } of (await namespaces.list({ limit: 1000 }, everywhere)).items) {
    // Nobody has looked at the root before the first night.
    if (path !== 'root') await check({ kind: 'ns', id: path, name, namespace: path }, parentOf(path));
    else system.set(path, Object.fromEntries(Object.entries(await labelsAt(made, 'ns', path)).filter(([key]) => key.startsWith('apxy/'))));
  }
  for (const { id, namespace } of (await actors.list({ limit: 1000 }, systemRequester)).items) await check({ kind: 'act', id, namespace }, namespace);
  const { rows } = await sql<{ id: string; namespace: string }>`select id, namespace from encryption_keys where id <> 'key_global'`.execute(
    database.db,
  );
  for (const { id, namespace } of rows) {
    const { name } = await keys.get(id);
    await check({ kind: 'key', id, namespace, ...(name === null ? {} : { name }) }, namespace);
  }
}

describeOnBoth('the labels of a namespace', (databases) => {
  test('reach everything at and below it, parents first, and nothing beside it', async () => {
    const made = await stage(databases, 3);
    const { namespaces, keys, runAll, problems } = made;
    for (const path of ['root.a.b.c', 'root.a-x', 'root.ab', 'root.a.d']) await namespaces.ensure(path, who);
    const paths = ['root.a', 'root.a.b', 'root.a.b.c', 'root.a-x', 'root.ab'];
    for (const path of paths) for (const name of ['one', 'two']) await addActor(made, path, name, { mine: path });
    for (const path of paths) await keys.create({ namespace: path, name: 'k', keyData: { random: true } }, who);
    await relabel(made, 'root.a', { env: 'prod' });
    await relabel(made, 'root.a.b', { env: 'dev', tier: 'web' });
    const [second, first] = await runAll();
    expect(problems).toEqual([]);
    expect([first, second]).toMatchObject([
      { name: 'labels.carry', state: 'succeeded', namespace: 'root.a', jobKey: 'root.a', createdBy: 'act_test', result: { done: 13, refused: 0 } },
      { state: 'succeeded', namespace: 'root.a.b', result: { done: 8, refused: 0 }, progress: { note: 'key' } },
    ]);
    await expectAllRight(made);
    expect(await labelsAt(made, 'ns', 'root.a.b.c')).toMatchObject({ 'apxy/ns/env': 'dev', 'apxy/ns/tier': 'web' });
    expect(await labelsAt(made, 'ns', 'root.a-x')).not.toHaveProperty(['apxy/ns/env']);
    expect(await made.carrying.step('root.a', new AbortController().signal)).toBeUndefined();
    // What is taken away is gone below, and what comes later has it from the start.
    await relabel(made, 'root.a', {});
    await runAll();
    await addActor(made, 'root.a.b.c', 'late');
    await expectAllRight(made);
    expect(await labelsAt(made, 'ns', 'root.a.d')).not.toHaveProperty(['apxy/ns/env']);
  });

  test('that change often are handed down once; those that do not change, and annotations, are not', async () => {
    const made = await stage(databases);
    const { namespaces, database } = made;
    await namespaces.ensure('root.a.b', who);
    for (const env of ['a', 'b', 'c']) await relabel(made, 'root.a', { env });
    await relabel(made, 'root.a', { env: 'c' });
    await namespaces.update('root.a.b', who, async (trx) => {
      await updateLabels(trx, { type: 'ns', id: 'root.a.b' }, { annotations: { note: 'x' }, labels: {} });
      return {};
    });
    const rolledBack = database.transaction(async (trx) => {
      await made.carrying.changed(trx, 'root.a.b', who);
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect((await waiting(made)).map(({ namespace }) => namespace)).toEqual(['root.a']);
    await made.runAll();
    expect(await labelsAt(made, 'ns', 'root.a.b')).toMatchObject({ 'apxy/ns/env': 'c' });
  });

  test('are worked out anew without being written where they are the same', async () => {
    const { options, database } = await databaseWithTasks(databases);
    const counted = openCounted(options);
    const made = await followersOn(options, counted);
    await made.namespaces.ensure('root.a.b', who);
    for (let index = 0; index < 30; index += 1) await addActor(made, 'root.a.b', `actor ${index}`);
    await database.transaction((trx) => made.carrying.changed(trx, 'root.a', who));
    const steps = await counted.statementsOf(async () => {
      for (let at = await made.carrying.step('root.a', AbortSignal.timeout(60_000)); at?.finished === false; )
        at = await made.carrying.step('root.a', AbortSignal.timeout(60_000));
    });
    expect(steps.filter((text) => /^(?:delete|insert)/.test(text) && !text.includes('label_carries'))).toEqual([]);
    expect(steps.length).toBeLessThan(20);
    await counted.close();
  });

  test('that are more than a resource may carry stop nobody else', async () => {
    const made = await stage(databases, 5);
    await made.namespaces.ensure('root.n1.n2.n3.n4.n5.n6.n7.n8', who);
    await addActor(made, 'root.n1.n2', 'ada');
    const many = (level: number) => Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`l${level}-${index}`, '']));
    const paths = (await made.namespaces.list({}, everywhere)).items.map(({ path }) => path);
    for (const [level, path] of paths.entries()) await relabel(made, path, many(level));
    await made.runAll();
    const results = (await waiting(made)).map(({ result }) => result as { refused: number; first_refused?: string });
    expect(results.some(({ refused, first_refused: first }) => refused > 0 && first === `ns ${paths.at(-1)}`)).toBe(true);
    expect(await labelsAt(made, 'ns', paths.at(-2) ?? '')).toHaveProperty(['apxy/ns/l0-0']);
    expect(Object.keys(await labelsAt(made, 'ns', 'root.n1.n2')).filter((key) => key.startsWith('apxy/ns/l'))).toHaveLength(128);
  });

  test('are right in the end, whatever is made and changed between the pages', async () => {
    const name = fc.constantFrom('a', 'a-', 'b');
    const path = fc.array(name, { maxLength: 3 }).map((names) => ['root', ...names].join('.'));
    const labels = fc.dictionary(fc.constantFrom('env', 'tier'), fc.constantFrom('1', '2', '3'), { maxKeys: 2, noNullPrototype: true });
    const event = fc.oneof(
      fc.record({ kind: fc.constant('ensure' as const), path }),
      fc.record({ kind: fc.constant('actor' as const), path }),
      fc.record({ kind: fc.constant('label' as const), path, labels }),
      fc.record({ kind: fc.constant('step' as const), path }),
    );
    const signal = new AbortController().signal;
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 25 }), async (events) => {
        const made = await stage(databases, 2);
        const steps = async (at: string) => (await made.carrying.step(at, signal))?.finished === false;
        for (const each of events) {
          count += 1;
          if (each.kind === 'step') await steps(each.path);
          else await made.namespaces.ensure(each.path, who);
          if (each.kind === 'actor') await addActor(made, each.path, `actor ${count}`);
          if (each.kind === 'label') await relabel(made, each.path, each.labels);
        }
        // In any order: here the last one first.
        for (const { namespace } of [...(await waiting(made))].reverse()) while (await steps(namespace));
        await expectAllRight(made);
      }),
      { numRuns: databases.dialect === 'sqlite' ? 20 : 5 },
    );
  }, 120_000);

  test('reach a child whose making began before the change and ends after the run', async () => {
    const made = await stage(databases);
    await made.namespaces.ensure('root.a', who);
    const [read, changed] = [gate(), gate()];
    let tries = 0;
    const making = made.namespaces.create('root.a.late', who, async () => {
      tries += 1;
      // It has read the labels of its parent by now.
      read.open();
      await changed.opened;
      return {};
    });
    await read.opened;
    if (databases.dialect === 'sqlite') changed.open();
    await relabel(made, 'root.a', { env: 'prod' });
    while ((await made.carrying.step('root.a', AbortSignal.timeout(60_000)))?.finished === false);
    changed.open();
    await making;
    // On SQLite the change waits for its turn; on Postgres the making loses, and is done again with the labels of now.
    expect(tries).toBe(databases.dialect === 'sqlite' ? 1 : 2);
    await expectAllRight(made);
  });

  test('reach everything when several processes hand them down while others make and change', async () => {
    const { options, database } = await databaseWithTasks(databases);
    const [one, other] = [
      await followersOn(options, database, { pageSize: 2 }),
      await followersOn(options, databases.opened(options), { pageSize: 2 }),
    ];
    for (const path of ['root.a.b.c', 'root.a.d']) await one.namespaces.ensure(path, who);
    const signal = AbortSignal.timeout(60_000);
    const drain = async (made: Followers) => {
      for (let rounds = 0; rounds < 15; rounds += 1)
        for (const path of ['root', 'root.a', 'root.a.b']) await unlessBusy(() => made.carrying.step(path, signal));
    };
    const change = async (made: Followers, first: number) => {
      for (let index = first; index < first + 6; index += 1) {
        await unlessBusy(() => relabel(made, index % 2 === 0 ? 'root.a' : 'root.a.b', { env: String(index) }));
        await unlessBusy(() => addActor(made, 'root.a.b.c', `actor ${index}`));
        await unlessBusy(() => made.namespaces.ensure(`root.a.b.n${index}`, who));
      }
    };
    await Promise.all([drain(one), drain(other), change(one, 0), change(other, 10)]);
    await one.runAll();
    await expectAllRight(one);
  }, 60_000);

  test('that were left undone are found again, and every night all are looked at', async () => {
    const made = await stage(databases);
    const { database, namespaces, tasks, runAll } = made;
    await namespaces.ensure('root.a.b', who);
    await relabel(made, 'root.a', { env: 'prod' });
    // Its task is gone: somebody has cancelled it.
    await tasks.cancel((await waiting(made))[0]?.id ?? '', who);
    await sql`delete from resource_labels where resource_id = 'root.a.b'`.execute(database.db);
    await sql`delete from tasks`.execute(database.db);
    await tasks.enqueue(database.db, 'labels.reconcile', { everything: false });
    await runAll();
    expect(await labelsAt(made, 'ns', 'root.a.b')).toMatchObject({ 'apxy/ns/env': 'prod', 'apxy/ns/-/id': 'root.a.b' });
    expect(await labelsAt(made, 'ns', 'root')).toEqual({});
    await tasks.enqueue(database.db, 'labels.reconcile', { everything: true });
    await runAll();
    expect(await labelsAt(made, 'ns', 'root')).toMatchObject({ 'apxy/ns/-/id': 'root' });
    await expectAllRight(made);
  });

  test('are handed down by indexes', async () => {
    const options = await databases.migrated();
    const database = openCounted(options);
    await requireIndexed(database, selectTreeAfter(database.db, 'root.a', 'root.a.b', 5).compile());
    for (const [children, after] of [
      [labelledActors, ['root.a', 'ada']],
      [labelledKeys, ['root.a', 1, 'key_1']],
    ] as const) {
      const [, text = ''] = await database.statementsOf(() => children.page(database.db, 'root.a', JSON.stringify(after), 5));
      await requireIndexed(database, CompiledQuery.raw(text, ['root.a.', 'root.a/', ...after, 5]));
    }
    await database.close();
  });
});
