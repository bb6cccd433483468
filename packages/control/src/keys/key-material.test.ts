import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { syncKeys } from './key-material.js';
import type { Keyring } from './keyring.js';
import { createThings, type KeysStage, openKeysStage, tester } from './keys-stage.test.support.js';
import { abortable } from './provider-abort.js';

const signal = new AbortController().signal;

describeOnBoth('the synchronisation of keys', (databases) => {
  async function stage(): Promise<KeysStage & { readonly database: Database }> {
    const database = await databases.open();
    await createThings(database);
    return { ...(await openKeysStage(database)), database };
  }

  test('a provider that does not answer is reported, and neither the global key nor the others wait for it', async () => {
    const { service, keyring, database } = await stage();
    const slow: string[] = [];
    for (let index = 0; index < 9; index += 1) slow.push((await service.create({ namespace: 'root.a', keyData: { random: true } }, tester)).id);
    const quick = await service.create({ namespace: 'root.b', keyData: { random: true } }, tester);
    const order: string[] = [];
    const waiting: Keyring = {
      ...keyring,
      async providerOf(key) {
        order.push(key.id);
        const provider = await keyring.providerOf(key);
        const silent = (asked: AbortSignal) => abortable(new Promise<never>(() => {}), asked);
        return slow.includes(key.id) ? { ...provider, currentVersion: silent } : provider;
      },
    };
    const result = await syncKeys(database, waiting, Date.now(), signal, 1_000);
    expect(result).toMatchObject({ checked: 11, rotated: [] });
    expect(result.failures.map(({ keyId }) => keyId).toSorted()).toEqual(slow.toSorted());
    expect(new Set(result.failures.map(({ code }) => code))).toEqual(new Set(['key_provider_failed']));
    expect(order[0]).toBe('key_global');
    expect(order).toContain(quick.id);
    // An abort ends them all, whatever they wait for.
    const abort = new AbortController();
    const ended = syncKeys(database, waiting, Date.now(), abort.signal);
    order.length = 0;
    while (order.length < 8) await new Promise((resolve) => setImmediate(resolve));
    abort.abort(new Error('enough'));
    await expect(ended).rejects.toThrow('enough');
  });
});
