import fc from 'fast-check';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { carryLabels, labelNew, labelsOf, setAnnotation, setLabel, unlabel, updateLabels } from './label-service.js';
import { replaceLabels } from './label-store.js';
import { parseSelector, selectorMatches } from './selector.js';
import { anyLabels, anySelector } from './selector.test.support.js';
import { selectorCondition } from './selector-condition.js';

describeOnBoth('labels', (databases) => {
  const things = async () => {
    const database = await databases.open();
    await sql`create table things (id text primary key, value text)`.execute(database.db);
    return database;
  };

  test('the condition in SQL takes exactly what the matcher takes', async () => {
    const database = await things();
    const { db } = database;
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyLabels, { minLength: 1, maxLength: 8 }),
        fc.array(anySelector, { minLength: 1, maxLength: 4 }),
        async (all, selectors) => {
          await database.transaction(async (trx) => {
            await sql`delete from things`.execute(trx);
            await sql`delete from resource_labels`.execute(trx);
            for (const [index, labels] of all.entries()) {
              await sql`insert into things (id, value) values (${String(index)}, 'x')`.execute(trx);
              await replaceLabels(trx, { type: 'act', id: String(index) }, labels, 'user');
              // The same ids of another kind, with other labels, must not get in the way.
              await replaceLabels(trx, { type: 'cxn', id: String(index) }, { env: 'a', tier: 'b' }, 'user');
            }
          });
          for (const selector of selectors) {
            const { rows } = await sql<{
              id: string;
            }>`select id from things where ${selectorCondition('act', 'things.id', selector)} order by id`.execute(db);
            const expected = all.flatMap((labels, index) => (selectorMatches(selector, labels) ? [String(index)] : []));
            expect(rows.map(({ id }) => id)).toEqual(expected);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a selector is answered by indexes', async () => {
    const { db, dialect } = await things();
    const condition = selectorCondition('act', 'things.id', parseSelector('env in (a,b),tier!=c,x,!y'));
    const query = sql`select id from things where ${condition}`;
    if (dialect === 'sqlite') {
      const plan = await sql<{ detail: string }>`explain query plan ${query}`.execute(db);
      const steps = plan.rows.map(({ detail }) => detail).filter((detail) => detail.includes('resource_labels'));
      expect(steps).toHaveLength(4);
      for (const step of steps) expect(step).toContain('SEARCH');
      return;
    }
    await sql`insert into things select 'id' || n, 'x' from generate_series(1, 5000) n`.execute(db);
    await sql`insert into resource_labels select 'act', 'id' || n, k, 'v' || n, 0 from generate_series(1, 5000) n, unnest(array['env', 'tier', 'x', 'y']) k`.execute(
      db,
    );
    await sql`analyze things`.execute(db);
    await sql`analyze resource_labels`.execute(db);
    const plan = await sql<Record<string, string>>`explain ${query}`.execute(db);
    expect(JSON.stringify(plan.rows)).not.toContain('Seq Scan on resource_labels');
  });

  test('a user replaces, sets and removes; labels of the system survive', async () => {
    const database = await databases.open();
    const { db } = database;
    const actor = { type: 'act', id: 'act_1' };
    await database.transaction((trx) =>
      labelNew(trx, { kind: 'act', id: 'act_1', namespace: 'root' }, [], { labels: { env: 'prod', tier: 'web' }, annotations: { note: 'a' } }),
    );
    const system = { 'apxy/act/-/id': 'act_1', 'apxy/act/-/ns': 'root' };
    const labels = async () => (await labelsOf(db, 'act', ['act_1', 'act_2'])).get('act_1');
    expect(await labels()).toEqual({ labels: { env: 'prod', tier: 'web', ...system }, annotations: { note: 'a' } });
    await database.transaction((trx) => updateLabels(trx, actor, { labels: { env: 'dev' } }));
    await database.transaction((trx) => setLabel(trx, actor, 'team', 'a'));
    await database.transaction((trx) => setLabel(trx, actor, 'env', null));
    expect(await labels()).toEqual({ labels: { team: 'a', ...system }, annotations: { note: 'a' } });
    await database.transaction((trx) => setAnnotation(trx, actor, 'note', 'one'));
    await database.transaction((trx) => setAnnotation(trx, actor, 'other', 'two'));
    await database.transaction((trx) => setAnnotation(trx, actor, 'note', null));
    expect(await labels()).toEqual({ labels: { team: 'a', ...system }, annotations: { other: 'two' } });
    await expect(database.transaction((trx) => setLabel(trx, actor, 'apxy/act/-/id', 'x'))).rejects.toMatchObject({ code: 'label_invalid' });
    await database.transaction((trx) => updateLabels(trx, actor, { labels: {} }));
    expect((await labels())?.labels).toEqual(system);
    await database.transaction((trx) => unlabel(trx, actor));
    expect(await labels()).toEqual({ labels: {}, annotations: {} });
  });

  test('children carry the labels of their parents, also after these changed', async () => {
    const database = await databases.open();
    const parent = { kind: 'ns', id: 'root.a', namespace: 'root.a' } as const;
    const child = { kind: 'cxn', id: 'cxn_1', namespace: 'root.a' } as const;
    await database.transaction(async (trx) => {
      await labelNew(trx, parent, [], { labels: { env: 'prod' } });
      await labelNew(trx, child, [parent], { labels: { env: 'mine' } });
    });
    const labels = async () => (await labelsOf(database.db, 'cxn', ['cxn_1'])).get('cxn_1')?.labels;
    const own = { env: 'mine', 'apxy/ns/-/id': 'root.a', 'apxy/ns/-/ns': 'root.a', 'apxy/cxn/-/id': 'cxn_1', 'apxy/cxn/-/ns': 'root.a' };
    expect(await labels()).toEqual({ ...own, 'apxy/ns/env': 'prod' });
    await database.transaction(async (trx) => {
      await updateLabels(trx, { type: 'ns', id: 'root.a' }, { labels: { tier: 'web' } });
      await carryLabels(trx, child, [parent]);
    });
    expect(await labels()).toEqual({ ...own, 'apxy/ns/tier': 'web' });
  });
});
