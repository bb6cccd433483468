import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { labelsOf, setLabel } from '../labels/label-service.js';
import { everywhere } from '../namespaces/namespace-matcher.js';
import { codeOf, createThings, type KeysStage, openKeysStage, tester } from './keys-stage.test.support.js';

describeOnBoth('names, labels and data of keys', (databases) => {
  async function stage(): Promise<KeysStage & { readonly database: Database }> {
    const database = await databases.open();
    await createThings(database);
    return { ...(await openKeysStage(database)), database };
  }

  test('a name is taken once in a namespace, and is free again when its key is deleted', async () => {
    const { service } = await stage();
    const named = (namespace: string) => service.create({ namespace, name: 'main', keyData: { random: true } }, tester);
    const first = await named('root.a');
    expect(await codeOf(named('root.a'))).toBe('key_exists');
    const other = await named('root.b');
    await service.update(other.id, { name: null }, tester);
    const third = await service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
    expect(await codeOf(service.update(third.id, { name: 'main' }, tester))).toBe('key_exists');
    expect(await codeOf(service.update(third.id, { name: 'main', keyData: { random: true } }, tester))).toBe('key_exists');
    await service.delete(first.id, tester);
    expect((await service.update(third.id, { name: 'main' }, tester)).name).toBe('main');
  });

  test('labels come, change and go with their key, in the transaction that changes it', async () => {
    const { service, database, audit } = await stage();
    const carried = async (id: string) => (await labelsOf(database.db, 'key', [id])).get(id);
    const key = await service.create(
      { namespace: 'root.a', name: 'main', keyData: { random: true }, labels: { env: 'prod' }, annotations: { note: 'x' } },
      tester,
    );
    expect(await carried(key.id)).toMatchObject({
      labels: { env: 'prod', 'apxy/key/-/name': 'main', 'apxy/key/-/ns': 'root.a' },
      annotations: { note: 'x' },
    });
    await service.update(key.id, { name: 'other', labels: { env: 'dev' } }, tester);
    expect((await carried(key.id))?.labels).toMatchObject({ env: 'dev', 'apxy/key/-/name': 'other' });
    await service.update(key.id, { name: null, keyData: { random: true }, annotations: {} }, tester);
    const bare = await carried(key.id);
    expect(bare).toMatchObject({ labels: { env: 'dev' }, annotations: {} });
    expect(bare?.labels).not.toHaveProperty(['apxy/key/-/name']);
    const { version } = await service.get(key.id);
    expect(await codeOf(service.update(key.id, { state: 'disabled', labels: { 'apxy/x': 'y' } }, tester))).toBe('label_invalid');
    expect(await service.get(key.id)).toMatchObject({ version, state: 'active' });
    await service.relabel(key.id, tester, (trx, resource) => setLabel(trx, resource, 'team', 'blue'));
    expect((await service.get(key.id)).version).toBe(version + 1);
    await service.delete(key.id, tester);
    expect(await carried(key.id)).toEqual({ labels: {}, annotations: {} });
    const { items } = await audit.list({ filter: { resource_type: 'keys' } }, everywhere);
    expect(items.find(({ action }) => action === 'keys.delete')?.before).toMatchObject({ labels: { env: 'dev', team: 'blue' } });
  });

  test('what a key was made of comes back, and what was made here does not', async () => {
    const { service, database } = await stage();
    const sent = await service.create({ namespace: 'root.a', keyData: { value: 'material of the tenant' } }, tester);
    expect(await service.keyData(sent)).toEqual({ value: 'material of the tenant' });
    const made = await service.create({ namespace: 'root.a', keyData: { random: true, num_bytes: 48 } }, tester);
    expect(await service.keyData(made)).toEqual({ random: true, num_bytes: 48 });
    expect(await service.keyData(await service.get('key_global'))).toBeNull();
    await database.transaction((trx) => service.shred(trx, 'root.a', tester));
    expect(await service.keyData({ ...sent, key_data: null })).toBeNull();
  });
});
