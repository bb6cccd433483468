import fc from 'fast-check';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { requireIndexed } from '../database/testing/query-plan.test.support.js';
import { namespaceCondition, pathKey, pathKeyCondition } from './namespace-condition.js';
import { everywhere, isInScope, type NamespaceScope, nowhere, parseNamespaceMatcher } from './namespace-matcher.js';
import { pathOf, scopeOf } from './namespaces.test.support.js';

async function withRows(database: Database, paths: readonly string[]): Promise<Database> {
  const text = sql.raw(database.dialect === 'postgres' ? 'text collate "C"' : 'text');
  await sql`create table things (namespace ${text} not null, path_key ${text} not null, id integer not null)`.execute(database.db);
  await sql`create index things_namespace on things (namespace)`.execute(database.db);
  await sql`create index things_path_key on things (path_key, id)`.execute(database.db);
  for (const [id, path] of paths.entries()) {
    await sql`insert into things (namespace, path_key, id) values (${path}, ${pathKey(path)}, ${id})`.execute(database.db);
  }
  return database;
}

async function selected(database: Database, scope: NamespaceScope): Promise<readonly (readonly string[])[]> {
  const found = [];
  for (const condition of [namespaceCondition('namespace', scope), pathKeyCondition('path_key', scope)]) {
    const { rows } = await sql<{ namespace: string }>`select namespace from things where ${condition} order by id`.execute(database.db);
    found.push(rows.map((row) => row.namespace));
  }
  return found;
}

describeOnBoth('the condition of a scope', (databases) => {
  test('selects what the scope matches', async () => {
    const paths = [...new Set(fc.sample(pathOf, { numRuns: 150, seed: 7 }))];
    const database = await withRows(databases.opened(await databases.empty()), paths);
    await fc.assert(
      fc.asyncProperty(scopeOf, async (scope) => {
        const expected = paths.filter((path) => isInScope(scope, path));
        expect(await selected(database, scope)).toEqual([expected, expected]);
      }),
      { numRuns: 60 },
    );
  });

  test('takes no character of a path for a wildcard: root.team_a.** does not select root.teamXa.b', async () => {
    const paths = ['root.team_a', 'root.team_a.b', 'root.teamXa', 'root.teamXa.b', 'root.team_ab', 'root.team_a-b.c'];
    const database = await withRows(databases.opened(await databases.empty()), paths);
    const expected = ['root.team_a', 'root.team_a.b'];
    expect(await selected(database, [parseNamespaceMatcher('root.team_a.**')])).toEqual([expected, expected]);
  });

  test('of nothing selects nothing, and of everything all', async () => {
    const paths = ['root', 'root.a'];
    const database = await withRows(databases.opened(await databases.empty()), paths);
    expect(await selected(database, nowhere)).toEqual([[], []]);
    expect(await selected(database, everywhere)).toEqual([paths, paths]);
  });

  test('may have thousands of matchers', async () => {
    const database = await withRows(databases.opened(await databases.empty()), ['root.n0', 'root.n1999.a', 'root.n2000']);
    const scope = Array.from({ length: 2000 }, (_, index) => [
      { path: `root.n${index}`, subtree: true },
      { path: `root.single.n${index}`, subtree: false },
    ]).flat();
    expect(await selected(database, scope)).toEqual([1, 2].map(() => ['root.n0', 'root.n1999.a']));
  });

  test('is served by the index, and a subtree comes in its order', async () => {
    const database = await withRows(databases.opened(await databases.empty()), ['root.a', 'root.b.c']);
    const scope = [parseNamespaceMatcher('root.b.**')];
    await requireIndexed(database, sql`select id from things where ${namespaceCondition('namespace', scope)}`.compile(database.db));
    const ordered = sql`select id from things where ${pathKeyCondition('path_key', scope)} order by path_key, id limit 10`.compile(database.db);
    await requireIndexed(database, ordered);
  });
});
