import { SallyportError, Secret } from '@sallyport/sdk';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { openCounted } from '../database/testing/statement-count.test.support.js';
import { everywhere } from '../namespaces/namespace-matcher.js';
import { keyTables } from './key-tables.js';
import { createThings, type KeysStage, type KeysStageOptions, openKeysStage, tester } from './keys-stage.test.support.js';
import { parseProviderConfig } from './provider-config.js';

const signal = new AbortController().signal;

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    return error.code;
  }
}

describeOnBoth('keys', (databases) => {
  async function stage(options: KeysStageOptions = {}): Promise<KeysStage & { readonly database: Database }> {
    const database = await databases.open();
    await createThings(database);
    return { ...(await openKeysStage(database, options)), database };
  }

  /** Everything that is stored, as text. */
  async function dump(database: Database): Promise<string> {
    const names =
      database.dialect === 'sqlite'
        ? await sql<{ name: string }>`select name from sqlite_schema where type = 'table'`.execute(database.db)
        : await sql<{ name: string }>`select tablename as name from pg_tables where schemaname = 'public'`.execute(database.db);
    const tables = await Promise.all(names.rows.map(({ name }) => sql`select * from ${sql.table(name)}`.execute(database.db)));
    return JSON.stringify(tables.map(({ rows }) => rows));
  }

  test('once the key is known, the database is asked nothing', async () => {
    const options = await databases.empty();
    const database = openCounted(options);
    await migrate(database);
    await createThings(database);
    const { keyring } = await openKeysStage(database);
    const place = { table: 'things', column: 'secret', row: '1', namespace: 'root.a', hosts: ['api.example.com'] };
    const envelope = await keyring.encrypt(place, new Secret('secret'));
    const asked = await database.statementsOf(async () => {
      await keyring.encrypt(place, new Secret('another'));
      expect((await keyring.decrypt(place, envelope)).reveal()).toBe('secret');
    });
    expect(asked).toEqual([]);
    await database.close();
  });

  test('encrypting inside a transaction is refused instead of waiting for itself', async () => {
    const { keyring, database } = await stage();
    const place = { table: 'things', column: 'secret', row: '1', namespace: 'root.a' };
    await expect(database.transaction(() => keyring.encrypt(place, new Secret('secret')))).rejects.toThrow('inside a transaction');
    expect(await keyring.encrypt(place, new Secret('secret'))).toContain('ekv_');
  });

  test('what was written comes back, under the key of the nearest namespace that has one', async () => {
    const { service, write, read, versionOf, versions } = await stage();
    const key = await service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
    await service.assign('root.a', key.id, tester);
    const [version] = await versions(key.id);
    const [global] = await versions('key_global');
    for (const [id, namespace, expected] of [
      ['1', 'root.a', version],
      ['2', 'root.a.b.c', version],
      ['3', 'root', global],
      ['4', 'root.ab', global],
    ] as const) {
      await write(id, namespace, `secret ${id}`);
      expect(await read(id)).toBe(`secret ${id}`);
      expect(await versionOf(id)).toBe(expected?.id);
    }
    await service.unassign('root.a', tester);
    await write('5', 'root.a', 'secret 5');
    expect(await versionOf('5')).toBe(global?.id);
    expect(await read('1')).toBe('secret 1');
  });

  test('a dump of the database shows no plaintext and no material', async () => {
    const { service, write, database } = await stage();
    const key = await service.create({ namespace: 'root.a', keyData: { value: 'material-of-the-tenant' } }, tester);
    await service.assign('root.a', key.id, tester);
    await write('1', 'root.a', 'plain-secret-1');
    await write('2', 'root', 'plain-secret-2');
    const text = await dump(database);
    expect(text).toContain('ekv_');
    const forbidden = ['plain-secret-1', 'plain-secret-2', 'material-of-the-tenant', 'the material of the global key'];
    for (const word of forbidden) {
      for (const encoding of ['utf8', 'hex', 'base64'] as const) expect(text).not.toContain(Buffer.from(word).toString(encoding).replace(/=*$/, ''));
    }
  });

  test('a ciphertext that was moved to another row, namespace or host does not open', async () => {
    const { write, read, database } = await stage();
    await write('1', 'root.a', 'secret 1');
    await write('2', 'root.a', 'secret 2');
    await sql`update things set secret = (select secret from things where id = '1') where id = '2'`.execute(database.db);
    expect(await codeOf(read('2'))).toBe('ciphertext_invalid');
    await sql`update things set namespace = 'root.b' where id = '1'`.execute(database.db);
    expect(await codeOf(read('1'))).toBe('ciphertext_invalid');
  });

  test('a wrapped data key that was moved to another version does not open', async () => {
    const { service, write, versions, database } = await stage();
    await write('1', 'root', 'secret');
    await service.rotate('key_global', tester);
    const [newer, older] = await versions('key_global');
    const tables = keyTables(database.db);
    await tables
      .updateTable('encryption_key_versions')
      .set({ wrapped: older?.wrapped ?? null })
      .where('id', '=', newer?.id ?? '')
      .execute();
    const other = await openKeysStage(database);
    expect(await codeOf(other.write('2', 'root', 'secret'))).toBe('ciphertext_invalid');
    expect(await other.read('1')).toBe('secret');
  });

  test('deleting a key in use is refused, whoever uses it', async () => {
    const { service, write, read, reencryption, retirement } = await stage();
    const key = await service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
    await service.assign('root.a', key.id, tester);
    expect(await codeOf(service.delete(key.id, tester))).toBe('key_in_use');
    await write('1', 'root.a', 'secret');
    const below = await service.create({ namespace: 'root.a.b', keyData: { random: true } }, tester);
    await service.unassign('root.a', tester);
    await expect(service.delete(key.id, tester)).rejects.toMatchObject({
      code: 'key_in_use',
      members: { table: 'encryption_keys', column: 'key_data' },
    });
    await service.delete(below.id, tester);
    expect(await codeOf(service.delete(key.id, tester))).toBe('key_in_use');
    await reencryption.run(signal);
    await service.delete(key.id, tester);
    expect(await read('1')).toBe('secret');
    expect(await codeOf(service.get(key.id))).toBe('key_not_found');
    expect(await codeOf(service.delete('key_global', tester))).toBe('key_global');
    expect(await retirement.purgeRetired(60_000)).toEqual([]);
    expect(await retirement.purgeRetired(0)).toHaveLength(2);
  });

  test('a key whose provider does not work is not saved', async () => {
    const rules = [{ namespaces: ['root.**'], providers: ['value', 'env_var'], env: ['MISSING'] }] as const;
    const { service, database } = await stage({ rules });
    expect(await codeOf(service.create({ namespace: 'root.a', keyData: { env_var: 'MISSING' } }, tester))).toBe('key_provider_failed');
    expect(await codeOf(service.create({ namespace: 'root.a', keyData: { value: 'short' } }, tester))).toBe('key_provider_failed');
    expect(await codeOf(service.create({ namespace: 'root.a', keyData: { env_var: 'PATH' } }, tester))).toBe('key_provider_forbidden');
    expect(await codeOf(service.create({ namespace: 'root.a', keyData: {} }, tester))).toBe('key_data_invalid');
    expect(await keyTables(database.db).selectFrom('encryption_keys').select('id').execute()).toEqual([{ id: 'key_global' }]);
  });

  test('a key is assigned in its own namespace and below, and nowhere else', async () => {
    const { service } = await stage();
    const key = await service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
    await service.assign('root.a.b', key.id, tester);
    expect(await service.assigned('root.a.b')).toBe(key.id);
    for (const namespace of ['root', 'root.ab', 'root.b']) expect(await codeOf(service.assign(namespace, key.id, tester))).toBe('key_out_of_reach');
    expect(await codeOf(service.assign('root.a', 'key_none', tester))).toBe('key_not_found');
    expect(await codeOf(service.unassign('root.a.b', tester, 'key_other'))).toBe('precondition_failed');
    expect(await service.assigned('root.a.b')).toBe(key.id);
    for (const _ of [1, 2]) await service.unassign('root.a.b', tester, key.id);
    expect(await service.assigned('root.a.b')).toBeNull();
  });

  test('a disabled key encrypts nothing, and there is no other to fall back on', async () => {
    const { service, write, read } = await stage();
    const key = await service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
    await service.assign('root.a', key.id, tester);
    await write('1', 'root.a', 'secret');
    const read1 = await service.get(key.id);
    await service.update(key.id, { state: 'disabled' }, tester, [read1.version]);
    expect(await codeOf(write('2', 'root.a', 'secret'))).toBe('key_unavailable');
    expect(await read('1')).toBe('secret');
    expect(await codeOf(service.update(key.id, { state: 'active' }, tester, [read1.version]))).toBe('precondition_failed');
    await service.update(key.id, { state: 'active' }, tester);
    await write('2', 'root.a', 'secret');
  });

  test('a data key encrypts no more messages than its limit, over all processes', async () => {
    const one = await stage({ messageBlock: 5, messageLimit: 20 });
    const other = await openKeysStage(one.database, { messageBlock: 5, messageLimit: 20 });
    await Promise.all(Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? one : other).write(`${index}`, 'root', `secret ${index}`)));
    const uses = await sql<{ uses: number }>`select count(*) as uses from things group by substr(secret, 8, 40)`.execute(one.database.db);
    expect(uses.rows.length).toBeGreaterThanOrEqual(5);
    for (const { uses: count } of uses.rows) expect(count).toBeLessThanOrEqual(20);
    for (let index = 0; index < 100; index += 1) expect(await other.read(`${index}`)).toBe(`secret ${index}`);
  });

  test('new material at the provider: new writes use it, old values open, and it survives a restart without the old material', async () => {
    const env: Record<string, string> = { KEY: 'the first material' };
    const rules = [{ namespaces: ['root.**'], providers: ['env_var'], env: ['KEY'] }] as const;
    const { service, write, read, versionOf, database } = await stage({ env, rules });
    const key = await service.create({ namespace: 'root.a', keyData: { env_var: 'KEY' } }, tester);
    await service.assign('root.a', key.id, tester);
    await write('1', 'root.a', 'secret 1');
    expect(await service.sync(signal)).toMatchObject({ checked: 2, rotated: [], failures: [] });
    env.KEY = 'the second material';
    expect(await service.sync(signal)).toMatchObject({ rotated: [key.id], failures: [] });
    expect(await service.sync(signal)).toMatchObject({ rotated: [] });
    await write('2', 'root.a', 'secret 2');
    expect(await versionOf('2')).not.toBe(await versionOf('1'));
    const restarted = await openKeysStage(database, { env, rules });
    expect([await restarted.read('1'), await restarted.read('2'), await read('1')]).toEqual(['secret 1', 'secret 2', 'secret 1']);
  });

  test('material that is lost stops the synchronisation of its key, and of no other', async () => {
    const env: Record<string, string> = { A: 'the material of key a', B: 'the material of key b' };
    const rules = [{ namespaces: ['root.**'], providers: ['env_var'], env: ['*'] }] as const;
    const { service, database } = await stage({ env, rules });
    const a = await service.create({ namespace: 'root.a', keyData: { env_var: 'A' } }, tester);
    const b = await service.create({ namespace: 'root.b', keyData: { env_var: 'B' } }, tester);
    env.A = 'another material for a';
    env.B = 'another material for b';
    const restarted = await openKeysStage(database, { env, rules });
    const before = await restarted.versions(a.id);
    expect((await restarted.service.sync(signal)).failures).toEqual([
      { keyId: a.id, code: 'key_provider_failed' },
      { keyId: b.id, code: 'key_provider_failed' },
    ]);
    expect(await restarted.versions(a.id)).toEqual(before);
    env.A = 'the material of key a';
    expect((await restarted.service.sync(signal)).failures).toEqual([{ keyId: b.id, code: 'key_provider_failed' }]);
  });

  test('the global key gets new material by configuration', async () => {
    const first = parseProviderConfig({ value: 'the material of the global key' });
    const { write, database } = await stage();
    await write('1', 'root', 'secret');
    const second = parseProviderConfig({ value: 'new material of the global key' });
    expect(await codeOf((await openKeysStage(database, { globalKey: { current: second } })).read('1'))).toBe('key_provider_failed');
    const moved = await openKeysStage(database, { globalKey: { current: second, previous: [first] } });
    expect(await moved.service.sync(signal)).toMatchObject({ rotated: ['key_global'] });
    expect(await (await openKeysStage(database, { globalKey: { current: second } })).read('1')).toBe('secret');
  });

  test('another provider for a key wraps all its data keys anew', async () => {
    const { service, write, database } = await stage();
    const key = await service.create({ namespace: 'root.a', keyData: { value: 'the first material' } }, tester);
    await service.assign('root.a', key.id, tester);
    await write('1', 'root.a', 'secret');
    const updated = await service.update(key.id, { keyData: { random: true } }, tester);
    expect(updated.provider).toBe('random');
    const restarted = await openKeysStage(database);
    expect(await restarted.read('1')).toBe('secret');
    expect((await restarted.versions(key.id)).map(({ state }) => state)).toEqual(['active', 'retiring']);
  });

  test('shredding a namespace makes everything below its keys unreadable', async () => {
    const { service, write, read, database } = await stage();
    const key = await service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
    await service.assign('root.a', key.id, tester);
    await write('1', 'root.a', 'secret');
    await write('2', 'root', 'secret');
    await database.transaction((trx) => service.shred(trx, 'root.a', tester));
    expect(await codeOf(read('1'))).toBe('ciphertext_invalid');
    expect(await read('2')).toBe('secret');
    const rows = await keyTables(database.db).selectFrom('encryption_keys').select(['id', 'key_data']).where('id', '=', key.id).execute();
    expect(rows).toEqual([{ id: key.id, key_data: null }]);
  });

  test('processes that start together make one global key', async () => {
    const database = await databases.open();
    await createThings(database);
    const stages = await Promise.all(Array.from({ length: 4 }, () => openKeysStage(database)));
    await Promise.all(stages.map((each, index) => each.write(`${index}`, 'root', `secret ${index}`)));
    expect(await stages[0]?.versions('key_global')).toHaveLength(1);
    for (const [index] of stages.entries()) expect(await stages[0]?.read(`${index}`)).toBe(`secret ${index}`);
  });

  test('changes are in the trail, without material', async () => {
    const { service, audit } = await stage();
    const { id } = await service.create({ namespace: 'root.a', keyData: { value: 'material of the tenant' } }, tester);
    await service.assign('root.a', id, tester);
    await service.rotate(id, tester);
    await service.update(id, { state: 'disabled' }, tester);
    await service.unassign('root.a', tester);
    await service.delete(id, tester);
    const { items } = await audit.list({}, everywhere);
    const changes = items.filter(({ resourceType }) => resourceType === 'keys').toReversed();
    const actions = ['create', 'assign', 'rotate', 'update', 'unassign', 'delete'].map((verb) => `keys.${verb}`);
    expect(changes.map(({ action }) => action).toSorted()).toEqual(actions.toSorted());
    expect(JSON.stringify(changes)).not.toContain('material of');
    expect(JSON.stringify(changes)).not.toContain('ekv_');
  });
});
