import { Secret } from '@sallyport/sdk';
import { expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import { pageQuery, planPage } from '../database/paging.js';
import { describeOnBoth, testSealer } from '../database/testing/databases.test.support.js';
import { requireIndexed } from '../database/testing/query-plan.test.support.js';
import { openCounted } from '../database/testing/statement-count.test.support.js';
import { everywhere, nowhere, parseNamespaceMatcher } from './namespace-matcher.js';
import { selectNamespaces } from './namespace-store.js';
import { type NamespaceFilter, type Namespaces, namespaceList } from './namespaces.js';
import { stageOn, who } from './namespaces.test.support.js';

async function pathsOf(namespaces: Namespaces, filter: NamespaceFilter = {}, visible = everywhere): Promise<readonly string[]> {
  return (await namespaces.list({ filter }, visible)).items.map(({ path }) => path);
}

describeOnBoth('namespaces', (databases) => {
  test('begin with the root', async () => {
    const { namespaces } = stageOn(await databases.open());
    expect(await namespaces.get('root')).toMatchObject({ path: 'root', name: 'root', state: 'active', version: 1 });
    await expect(namespaces.create('root', who)).rejects.toMatchObject({ code: 'namespace_exists', status: 409 });
  });

  test('are created below one that is there, once', async () => {
    const { namespaces } = stageOn(await databases.open());
    expect(await namespaces.create('root.a', who)).toMatchObject({ path: 'root.a', name: 'a', state: 'active', version: 1 });
    expect(await namespaces.create('root.a.b', who)).toEqual(await namespaces.get('root.a.b'));
    await expect(namespaces.create('root.a', who)).rejects.toMatchObject({ code: 'namespace_exists' });
    await expect(namespaces.create('root.x.y', who)).rejects.toMatchObject({ code: 'namespace_parent_missing', status: 400 });
    await expect(namespaces.create('root.-', who)).rejects.toMatchObject({ code: 'namespace_path_invalid' });
    await expect(namespaces.get('root.x')).rejects.toMatchObject({ code: 'namespace_not_found', status: 404 });
    await expect(namespaces.get('x')).rejects.toMatchObject({ code: 'namespace_path_invalid' });
  });

  test('of two that create the same path at once, one is told that it exists', async () => {
    const options = await databases.empty();
    await migrate(databases.opened(options));
    const results = await Promise.allSettled([1, 2, 3].map(() => stageOn(databases.opened(options)).namespaces.create('root.a', who)));
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [(result.reason as { code: string }).code] : []));
    expect(refused).toEqual(['namespace_exists', 'namespace_exists']);
  });

  test('come with what others store along with them, or not at all', async () => {
    const { namespaces, audit } = stageOn(await databases.open());
    const failing = namespaces.create('root.a', who, async () => {
      throw new Error('no labels');
    });
    await expect(failing).rejects.toThrow('no labels');
    await expect(namespaces.get('root.a')).rejects.toMatchObject({ code: 'namespace_not_found' });
    await namespaces.create('root.a', who, async (_trx, { path }) => ({ after: { labels: { of: path }, key: new Secret('hunter2') } }));
    const [event, ...others] = (await audit.list({ filter: { namespace: 'root.a' } }, everywhere)).items;
    expect(others).toEqual([]);
    expect(event).toMatchObject({ action: 'namespaces.create', after: { path: 'root.a', labels: { of: 'root.a' } }, ...who });
    expect(JSON.stringify(event)).not.toContain('hunter2');
  });

  test('that are missing on the way are made, also by several at once', async () => {
    const { namespaces } = stageOn(await databases.open());
    const made = await Promise.all([1, 2, 3].map(() => namespaces.ensure('root.a.b.c', who)));
    expect(made.map(({ path }) => path)).toEqual(['root.a.b.c', 'root.a.b.c', 'root.a.b.c']);
    expect(await pathsOf(namespaces)).toEqual(['root', 'root.a', 'root.a.b', 'root.a.b.c']);
    expect(await namespaces.ensure('root.a', who)).toMatchObject({ version: 1 });
  });

  test('are changed by one who has seen the last version', async () => {
    const { namespaces, audit } = stageOn(await databases.open());
    await namespaces.create('root.a', who);
    const apply = async () => ({ before: { labels: {} }, after: { labels: { x: '1' } } });
    expect(await namespaces.update('root.a', who, apply, [1])).toMatchObject({ version: 2 });
    await expect(namespaces.update('root.a', who, apply, [1])).rejects.toMatchObject({ code: 'precondition_failed', members: { etag: '"2"' } });
    expect(await namespaces.update('root.a', who, apply)).toEqual(await namespaces.get('root.a'));
    const events = await audit.list({ filter: { action: 'namespaces.update' } }, everywhere);
    expect(events.items.map(({ before, after }) => [before, after])).toEqual([1, 2].map(() => [{ labels: {} }, { labels: { x: '1' } }]));
  });

  test('are listed in the order of the tree, filtered, a page at a time', async () => {
    const { namespaces } = stageOn(await databases.open());
    for (const path of ['root.b.a', 'root.a.x', 'root.a-b', 'root.a_b']) await namespaces.ensure(path, who);
    const all = ['root', 'root.a-b', 'root.a', 'root.a.x', 'root.a_b', 'root.b', 'root.b.a'];
    expect(await pathsOf(namespaces)).toEqual(all);
    expect(await pathsOf(namespaces, { children_of: 'root.b' })).toEqual(['root.b.a']);
    expect(await pathsOf(namespaces, { namespace: 'root.a.**' })).toEqual(['root.a', 'root.a.x']);
    expect(await pathsOf(namespaces, { namespace: 'root.a' })).toEqual(['root.a']);
    expect(await pathsOf(namespaces, { name: 'a' })).toEqual(['root.a', 'root.b.a']);
    expect(await pathsOf(namespaces, { state: 'destroying' })).toEqual([]);
    const pages: string[] = [];
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page: Awaited<ReturnType<Namespaces['list']>> = await namespaces.list({ limit: 2, cursor }, everywhere);
      pages.push(...page.items.map(({ path }) => path));
      cursor = page.cursor;
    }
    expect(pages).toEqual(all);
    await expect(pathsOf(namespaces, { children_of: 'root.%' })).rejects.toMatchObject({ code: 'namespace_path_invalid' });
    await expect(pathsOf(namespaces, { namespace: '**' })).rejects.toMatchObject({ code: 'namespace_path_invalid' });
  });

  test('an empty intersection of what is visible and what is asked for is no namespace, never all of them', async () => {
    const { namespaces } = stageOn(await databases.open());
    await namespaces.ensure('root.a.b', who);
    const visible = [parseNamespaceMatcher('root.a.**')];
    expect(await pathsOf(namespaces, {}, visible)).toEqual(['root.a', 'root.a.b']);
    expect(await pathsOf(namespaces, { namespace: 'root.**' }, visible)).toEqual(['root.a', 'root.a.b']);
    expect(await pathsOf(namespaces, { namespace: 'root.x.**' }, visible)).toEqual([]);
    expect(await pathsOf(namespaces, { children_of: 'root' }, visible)).toEqual(['root.a']);
    expect(await pathsOf(namespaces, {}, nowhere)).toEqual([]);
  });

  test('are found, listed and created with few statements, all of them by an index', async () => {
    const options = await databases.empty();
    const database = openCounted(options);
    await migrate(database);
    const { namespaces } = stageOn(database);
    // Half of them for the labels that the system gives it.
    expect(await database.statementsOf(() => namespaces.create('root.a', who))).toHaveLength(6);
    expect(await database.statementsOf(() => namespaces.get('root.a'))).toHaveLength(1);
    expect(await database.statementsOf(() => namespaces.list({}, everywhere))).toHaveLength(1);
    const filters: readonly NamespaceFilter[] = [{}, { children_of: 'root' }, { name: 'a' }, { state: 'active' }];
    for (const filter of filters) {
      const query = pageQuery(selectNamespaces(database.db, everywhere, filter), planPage(namespaceList, {}, testSealer)).compile();
      await requireIndexed(database, query);
    }
    for (const order of Object.keys(namespaceList.orders)) {
      const query = pageQuery(selectNamespaces(database.db, everywhere, {}), planPage(namespaceList, { order }, testSealer)).compile();
      await requireIndexed(database, query);
    }
    await database.close();
  });
});
