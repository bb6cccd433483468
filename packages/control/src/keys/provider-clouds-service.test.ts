import { expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { cloudStages } from './cloud-stage.test.support.js';
import { createThings, openKeysStage, tester } from './keys-stage.test.support.js';
import { parseProviderConfig } from './provider-config.js';
import { startVault } from './vault-server.test.support.js';

const signal = new AbortController().signal;

describeOnBoth('keys in clouds', (databases) => {
  test.each(cloudStages)('%s: rotated there, synchronised, re-encrypted and read after a restart', async (type, start) => {
    const { server, keyData, rotate, secrets } = await start();
    try {
      const database = await databases.open();
      await createThings(database);
      const rules = [{ namespaces: ['root.**'], providers: [type], cloudEndpoints: [server.address] }];
      const keys = await openKeysStage(database, { rules });
      const { service, write, read, versionOf, reencryption, retirement } = keys;
      const key = await service.create({ namespace: 'root.a', keyData }, tester);
      expect(key.provider).toBe(type);
      for (const secret of secrets) expect(JSON.stringify(key)).not.toContain(secret);
      await service.assign('root.a', key.id, tester);
      await write('1', 'root.a', 'secret 1');
      const before = await versionOf('1');
      expect(await service.sync(signal)).toMatchObject({ rotated: [], failures: [] });
      rotate();
      expect(await service.sync(signal)).toMatchObject({ rotated: [key.id], failures: [] });
      expect(await service.sync(signal)).toMatchObject({ rotated: [], failures: [] });
      await reencryption.run(signal);
      expect(await versionOf('1')).not.toBe(before);
      expect(await retirement.retireUnused()).toContain(before);
      const restarted = await openKeysStage(database, { rules });
      expect([await restarted.read('1'), await read('1')]).toEqual(['secret 1', 'secret 1']);
      server.fail(...Array.from({ length: 4 }, () => ({ status: 403, body: {} })));
      expect((await service.sync(signal)).failures).toEqual([{ keyId: key.id, code: 'key_provider_failed' }]);
    } finally {
      await server.stop();
    }
  });

  test.each(cloudStages)('%s: what the provider of a key has read serves later calls, until its data changes', async (type, start) => {
    const { server, keyData, rotate } = await start();
    try {
      const database = await databases.open();
      const rules = [{ namespaces: ['root.**'], providers: [type], cloudEndpoints: [server.address] }];
      const { service, keyring } = await openKeysStage(database, { rules });
      const { id } = await service.create({ namespace: 'root.a', keyData: { ...keyData, cache_ttl: '1h' } }, tester);
      await service.sync(signal);
      const { length } = server.requests;
      rotate();
      expect(await service.sync(signal)).toMatchObject({ rotated: [], failures: [] });
      expect(server.requests).toHaveLength(length);
      const provider = await keyring.providerOf(await service.get(id));
      expect(await keyring.providerOf(await service.get(id))).toBe(provider);
      await service.update(id, { keyData }, tester);
      expect(await keyring.providerOf(await service.get(id))).not.toBe(provider);
      rotate();
      expect(await service.sync(signal)).toMatchObject({ rotated: [id], failures: [] });
      keyring.forget();
      expect(await keyring.providerOf(await service.get(id))).not.toBe(provider);
    } finally {
      await server.stop();
    }
  });

  test('a global key moves from one cloud to another by configuration', async () => {
    const database = await databases.open();
    await createThings(database);
    const stages = await Promise.all(cloudStages.map(async ([, start]) => await start()));
    const [first, ...others] = stages.map(({ keyData }) => parseProviderConfig(keyData));
    if (first === undefined) throw new Error('There is no cloud.');
    try {
      await (await openKeysStage(database, { globalKey: { current: first } })).write('1', 'root', 'secret');
      let previous = first;
      for (const current of others) {
        const moved = await openKeysStage(database, { globalKey: { current, previous: [previous] } });
        expect(await moved.read('1')).toBe('secret');
        expect(await moved.service.sync(signal)).toMatchObject({ rotated: ['key_global'], failures: [] });
        expect(await (await openKeysStage(database, { globalKey: { current } })).read('1')).toBe('secret');
        previous = current;
      }
    } finally {
      await Promise.all(stages.map(({ server }) => server.stop()));
    }
  });

  test.each([{ vault_path: 'app/key', vault_key: 'material' }, { vault_transit_key_name: 'app' }])(
    'a global key that moves to another Vault, where it has the same version number, is wrapped anew (%j)',
    async (where) => {
      const [here, there] = [await startVault(), await startVault(10)];
      try {
        here.writeSecret('the material here');
        there.writeSecret('the material there');
        const [first, second] = [here, there].map(({ address }) =>
          parseProviderConfig({ vault_address: address, vault_token: 'vault-token', ...where }),
        );
        if (first === undefined || second === undefined) throw new Error('There is no Vault.');
        const database = await databases.open();
        await createThings(database);
        await (await openKeysStage(database, { globalKey: { current: first } })).write('1', 'root', 'secret');
        const moved = await openKeysStage(database, { globalKey: { current: second, previous: [first] } });
        expect(await moved.service.sync(signal)).toMatchObject({ rotated: ['key_global'], failures: [] });
        expect(await moved.service.sync(signal)).toMatchObject({ rotated: [], failures: [] });
        await here.stop();
        expect(await (await openKeysStage(database, { globalKey: { current: second } })).read('1')).toBe('secret');
      } finally {
        await Promise.all([here.stop(), there.stop()]);
      }
    },
  );
});
