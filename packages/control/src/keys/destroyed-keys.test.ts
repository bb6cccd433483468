import { Secret } from '@sallyport/sdk';
import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { keyVersionOf } from './envelope.js';
import { codeOf, createThings, type KeysStage, openKeysStage, tester } from './keys-stage.test.support.js';

describeOnBoth('keys that are destroyed', (databases) => {
  async function stage(): Promise<KeysStage & { readonly database: Database }> {
    const database = await databases.open();
    await createThings(database);
    return { ...(await openKeysStage(database)), database };
  }

  test('what was encrypted with a key that another process has destroyed is not stored; the next attempt takes the key that is there', async () => {
    const { service, database } = await stage();
    const other = await openKeysStage(database);
    const assigned = async () => {
      const { id } = await service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
      await service.assign('root.a', id, tester);
      return id;
    };
    const shred = () => database.transaction((trx) => service.shred(trx, 'root.a', tester));
    const make = (name: string) => other.service.create({ namespace: 'root.a.b', name, keyData: { value: 'material of the tenant' } }, tester);
    const replace = (id: string) => other.service.update(id, { keyData: { value: 'other material of the tenant' } }, tester);
    /** What a process that has just started reads. */
    const keyData = async (id: string) => {
      const fresh = await openKeysStage(database);
      return fresh.service.keyData(await fresh.service.get(id));
    };
    // Under the global key, so that it outlives those of root.a.
    const kept = await make('kept');
    await assigned();
    other.keyring.refresh();
    await make('first');
    await shred();
    await assigned();
    expect(await codeOf(make('second'))).toBe('key_unavailable');
    const { id } = await make('second');
    expect(await keyData(id)).toEqual({ value: 'material of the tenant' });

    await shred();
    await assigned();
    expect(await codeOf(replace(kept.id))).toBe('key_unavailable');
    expect(await keyData(kept.id)).toEqual({ value: 'material of the tenant' });
    await replace(kept.id);
    expect(await keyData(kept.id)).toEqual({ value: 'other material of the tenant' });
  });

  test('a key version is usable until it is destroyed or its key is deleted', async () => {
    const { service, database, keyring } = await stage();
    const place = { table: 'things', column: 'secret', row: '1', namespace: 'root.a', hosts: ['api.example.com'] };
    const sealed = async () => keyVersionOf(await keyring.encrypt(place, new Secret('secret')));
    const usable = (id: string) => codeOf(database.transaction((trx) => keyring.requireUsable(trx, id)));
    const key = await service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
    await service.assign('root.a', key.id, tester);
    const [first, second] = [await sealed(), (await service.rotate(key.id, tester)).id];
    expect([await usable(first), await usable(second), await usable('ekv_00000000')]).toEqual(['none', 'none', 'key_unavailable']);
    await service.update(key.id, { state: 'disabled' }, tester);
    expect(await usable(second)).toBe('none');
    await service.unassign('root.a', tester);
    await service.delete(key.id, tester);
    expect([await usable(first), await usable(second)]).toEqual(['key_unavailable', 'key_unavailable']);
    expect(await usable(await sealed())).toBe('none');
  });
});
