import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { pageQuery, planPage } from '../database/paging.js';
import { describeOnBoth, testSealer } from '../database/testing/databases.test.support.js';
import { queryPlan, requireIndexed } from '../database/testing/query-plan.test.support.js';
import { type Authority, authorityOf } from '../permissions/authority.js';
import { listScope } from '../permissions/list-scope.js';
import { everything, nothing, type Permission, permissionsOf } from '../permissions/permission.js';
import { type KeyConditions, keyList, keyVersionList, selectKeys, selectVersions } from './key-list.js';
import { codeOf, createThings, type KeysStage, openKeysStage, tester } from './keys-stage.test.support.js';

function mayList(entry: Pick<Permission, 'namespace' | 'resource_ids'>): Authority {
  return authorityOf(permissionsOf([{ ...entry, resources: ['keys'], verbs: ['list'] }]));
}

describeOnBoth('lists of keys', (databases) => {
  async function stage(): Promise<KeysStage & { readonly database: Database }> {
    const database = await databases.open();
    await createThings(database);
    return { ...(await openKeysStage(database)), database };
  }

  test('the list shows what the caller may see, page by page, by filter and by label', async () => {
    const { service } = await stage();
    const made: string[] = [];
    for (const [index, namespace] of ['root.a', 'root.a.b', 'root.ab', 'root.b'].entries()) {
      const labels = { env: index % 2 === 0 ? 'even' : 'odd' };
      made.push((await service.create({ namespace, name: `key${index}`, keyData: { random: true }, labels }, tester)).id);
    }
    const all = authorityOf(everything);
    const below = mayList({ namespace: 'root.a.**' });
    const ids = async (...[request, authority]: Parameters<typeof service.list>) =>
      (await service.list(request, authority)).items.map(({ id }) => id);
    const first = await service.list({ limit: 2 }, all);
    expect(await ids({ cursor: String(first.cursor), limit: 10 }, all)).toHaveLength(3);
    expect(await ids({}, below)).toEqual([made[0], made[1]]);
    expect(await ids({}, mayList({ namespace: 'root.**', resource_ids: [made[2] ?? '', made[1] ?? ''] }))).toEqual([made[1], made[2]]);
    expect(await codeOf(service.list({}, authorityOf(nothing)))).toBe('permission_denied');
    expect(await codeOf(service.list({ filter: { namespace: 'root.b' } }, below))).toBe('permission_denied');
    expect(await codeOf(service.list({ filter: { namespace: 'root.b%' } }, below))).toBe('namespace_path_invalid');
    expect(await ids({ filter: { namespace: 'root.**' } }, below)).toEqual([made[0], made[1]]);
    expect(await ids({ filter: { label_selector: 'env=odd' } }, all)).toEqual([made[1], made[3]]);
    expect(await ids({ filter: { label_selector: 'apxy/key/-/name in (key0,key3)' } }, all)).toEqual([made[0], made[3]]);
    expect(await ids({ filter: { name: 'key2' } }, all)).toEqual([made[2]]);
    expect(await codeOf(service.list({ filter: { label_selector: 'env=', state: 'active' }, limit: 0 }, all))).toBe('list_limit_invalid');
    expect(await codeOf(service.list({ filter: { label_selector: '=' } }, all))).toBe('selector_invalid');
  });

  test('lists are read by an index, whatever the filter, the order and the reader', async () => {
    const database = await databases.open();
    const scopes = [
      listScope(everything, { resource: 'keys', verb: 'list' }),
      listScope(permissionsOf([{ namespace: 'root.a.**', resources: ['keys'], verbs: ['*'] }]), { resource: 'keys', verb: 'list' }),
      listScope(permissionsOf([{ namespace: 'root.a', resources: ['keys'], verbs: ['*'], resource_ids: ['key_1'] }]), {
        resource: 'keys',
        verb: 'list',
      }),
    ];
    const [whole] = scopes;
    for (const scope of scopes) {
      const planned = (filter: KeyConditions) => pageQuery(selectKeys(database.db, scope, filter), planPage(keyList, {}, testSealer)).compile();
      for (const filter of [{}, { name: 'a' }, { state: 'active' }, { label_selector: 'env=prod' }] as const) {
        // SQLite finds those of some namespaces or with a label by that, and puts no others in order.
        const few = database.dialect === 'sqlite' && (scope !== whole || 'label_selector' in filter);
        if (few) expect((await queryPlan(database, planned(filter))).scannedTables).toEqual([]);
        else await requireIndexed(database, planned(filter));
      }
    }
    for (const order of Object.keys(keyList.orders)) {
      if (whole !== undefined)
        await requireIndexed(database, pageQuery(selectKeys(database.db, whole, {}), planPage(keyList, { order }, testSealer)).compile());
    }
    await requireIndexed(database, pageQuery(selectVersions(database.db, 'key_1'), planPage(keyVersionList, {}, testSealer)).compile());
  });

  test('versions come in pages, and a cursor of one key is refused at another', async () => {
    const { service } = await stage();
    const rotated = [];
    for (let round = 0; round < 3; round += 1) rotated.unshift((await service.rotate('key_global', tester)).id);
    const first = await service.versions('key_global', { limit: 2 });
    expect(first.items.map(({ id }) => id)).toEqual(rotated.slice(0, 2));
    const rest = await service.versions('key_global', { cursor: String(first.cursor) });
    expect(rest.items.map(({ state }) => state)).toEqual(['retiring', 'retiring']);
    const other = await service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
    expect(await codeOf(service.versions(other.id, { cursor: String(first.cursor) }))).toBe('cursor_invalid');
    expect(await codeOf(service.versions('key_none', {}))).toBe('key_not_found');
  });
});
