import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { sealEnvelope } from './envelope.js';
import type { Keyring } from './keyring.js';
import { createThings, type KeysStage, openKeysStage, tester } from './keys-stage.test.support.js';
import { createReencryption } from './reencryption.js';

const signal = new AbortController().signal;
const idOf = (index: number): string => `thing_${String(index).padStart(4, '0')}`;

describeOnBoth('re-encryption', (databases) => {
  async function stage(rows: number): Promise<KeysStage & { readonly database: Database }> {
    const database = await databases.open();
    await createThings(database);
    const keys = await openKeysStage(database, { pageSize: 10 });
    const key = await keys.service.create({ namespace: 'root.a', keyData: { random: true } }, tester);
    for (let index = 0; index < rows; index += 1) await keys.write(idOf(index), index % 2 === 0 ? 'root.a' : 'root.b', `secret ${index}`);
    await keys.service.assign('root.a', key.id, tester);
    await keys.service.rotate('key_global', tester);
    return { ...keys, database };
  }

  /** The rows whose ciphertext is not under the active version of their namespace. */
  async function stale({ keyring, database }: { readonly keyring: Keyring; readonly database: Database }): Promise<readonly string[]> {
    keyring.refresh();
    const { rows } = await sql<{ id: string; namespace: string; secret: string }>`select id, namespace, secret from things order by id`.execute(
      database.db,
    );
    const found: string[] = [];
    for (const { id, namespace, secret } of rows) {
      if (secret.slice(7, 47) !== (await keyring.activeVersion(namespace)).id) found.push(id);
    }
    return found;
  }

  test('every row comes under the active version of its namespace, and the old versions retire', async () => {
    const keys = await stage(35);
    expect(await stale(keys)).toHaveLength(35);
    const progress = await keys.reencryption.run(signal);
    expect(await stale(keys)).toEqual([]);
    for (let index = 0; index < 35; index += 1) expect(await keys.read(idOf(index))).toBe(`secret ${index}`);
    expect(progress.find(({ table_name }) => table_name === 'things')).toMatchObject({ state: 'complete', scanned: 35, changed: 35, failed: 0 });
    const [active, old] = await keys.versions('key_global');
    expect(await keys.retirement.retireUnused()).toEqual([old?.id]);
    expect(await keys.retirement.purgeRetired(0)).toEqual([old?.id]);
    const restarted = await openKeysStage(keys.database);
    for (let index = 0; index < 35; index += 1) expect(await restarted.read(idOf(index))).toBe(`secret ${index}`);
    expect((await restarted.versions('key_global')).map(({ id, state, wrapped }) => [id, state, wrapped === null])).toEqual([
      [active?.id, 'active', false],
      [old?.id, 'retired', true],
    ]);
  });

  test('a version in use does not retire, and one that is used again is not destroyed', async () => {
    const keys = await stage(3);
    const [, old] = await keys.versions('key_global');
    expect(await keys.retirement.retireUnused()).toEqual([]);
    const before = await sql<{ secret: string }>`select secret from things where id = ${idOf(1)}`.execute(keys.database.db);
    await keys.reencryption.run(signal);
    expect(await keys.retirement.retireUnused()).toEqual([old?.id]);
    // A process that was behind writes with the version that has just retired.
    await sql`update things set secret = ${before.rows[0]?.secret ?? ''} where id = ${idOf(1)}`.execute(keys.database.db);
    expect(await keys.retirement.purgeRetired(0)).toEqual([]);
    expect((await keys.versions('key_global'))[1]?.state).toBe('retiring');
    await keys.reencryption.run(signal);
    expect(await keys.read(idOf(1))).toBe('secret 1');
    expect(await keys.retirement.retireUnused()).toEqual([old?.id]);
  });

  test('a row that is changed while it is re-encrypted is neither overwritten nor skipped', async () => {
    const keys = await stage(25);
    let writes = 0;
    // Between the read of each row and its update somebody writes a new secret.
    const { keyring, database, columns } = keys;
    const other = await openKeysStage(database);
    const old = (await keys.versions('key_global'))[1];
    const racing: Keyring = {
      ...keyring,
      async decrypt(place, text) {
        if (place.table === 'things' && writes < 40 && text.includes(String(old?.id))) {
          writes += 1;
          await other.write(place.row, place.namespace, `written ${place.row}`);
        }
        return keyring.decrypt(place, text);
      },
    };
    await createReencryption({ database, keyring: racing, columns, pageSize: 10 }).run(signal);
    expect(writes).toBe(25);
    expect(await stale(keys)).toEqual([]);
    for (let index = 0; index < 25; index += 1) expect(await keys.read(idOf(index))).toBe(`written ${idOf(index)}`);
  });

  test('a row that is changed to another old ciphertext meanwhile is tried again', async () => {
    const keys = await stage(1);
    const { keyring, database, columns } = keys;
    const [, old] = await keys.versions('key_global');
    const id = String(old?.id);
    let races = 0;
    const racing: Keyring = {
      ...keyring,
      async decrypt(place, text) {
        const secret = await keyring.decrypt(place, text);
        if (place.table === 'things' && races < 3) {
          races += 1;
          const sealed = sealEnvelope(id, await keyring.dataKey(id), place, Buffer.from(`race ${races}`));
          await sql`update things set secret = ${sealed} where id = ${place.row}`.execute(database.db);
        }
        return secret;
      },
    };
    await createReencryption({ database, keyring: racing, columns }).run(signal);
    expect(races).toBe(3);
    expect(await stale(keys)).toEqual([]);
    expect(await keys.read(idOf(0))).toBe('race 3');
  });

  test('a row stays readable when the key of its replacement was destroyed meanwhile', async () => {
    const keys = await stage(1);
    const { keyring, database, columns } = keys;
    const racing: Keyring = {
      ...keyring,
      async encrypt(place, plaintext, keyNamespace) {
        const sealed = await keyring.encrypt(place, plaintext, keyNamespace);
        if (place.table === 'things') await database.transaction((trx) => keys.service.shred(trx, 'root.a', tester));
        return sealed;
      },
    };
    const progress = await createReencryption({ database, keyring: racing, columns }).run(signal);
    expect(progress.find(({ table_name }) => table_name === 'things')).toMatchObject({
      ...{ changed: 0, failed: 1, first_failure: `${idOf(0)}: key_unavailable` },
    });
    const restarted = await openKeysStage(database);
    expect(await restarted.read(idOf(0))).toBe('secret 0');
    await restarted.reencryption.run(signal);
    expect(await stale(keys)).toEqual([]);
    expect(await keys.read(idOf(0))).toBe('secret 0');
  });

  test('rows that appear or go while a run is under way disturb it not', async () => {
    const keys = await stage(40);
    await keys.reencryption.begin();
    await keys.reencryption.step(signal);
    await keys.reencryption.step(signal);
    await sql`delete from things where id in (${idOf(3)}, ${idOf(15)}, ${idOf(39)})`.execute(keys.database.db);
    await keys.write('thing_0000a', 'root.b', 'new in front');
    await keys.write('thing_9999', 'root.b', 'new behind');
    await keys.reencryption.run(signal);
    expect(await stale(keys)).toEqual([]);
    expect(await keys.read('thing_0000a')).toBe('new in front');
  });

  test('a run that was interrupted is gone on with where it was', async () => {
    const keys = await stage(35);
    await keys.reencryption.begin();
    for (let step = 0; step < 3; step += 1) await keys.reencryption.step(signal);
    const before = (await keys.reencryption.progress()).find(({ table_name }) => table_name === 'things');
    expect(before).toMatchObject({ state: 'running', scanned: 20 });
    const restarted = await openKeysStage(keys.database, { pageSize: 10 });
    const after = (await restarted.reencryption.run(signal)).find(({ table_name }) => table_name === 'things');
    expect(after).toMatchObject({ run: before?.run, state: 'complete', scanned: 35, changed: 35 });
    expect((await restarted.reencryption.run(signal))[0]?.run).toBe((before?.run ?? 0) + 1);
  });

  test('several processes at once finish one run, and count every row once', async () => {
    const keys = await stage(60);
    const others = [keys, await openKeysStage(keys.database, { pageSize: 10 }), await openKeysStage(keys.database, { pageSize: 10 })];
    await keys.reencryption.begin();
    await Promise.all(
      others.map(async ({ reencryption }) => {
        while (await reencryption.step(signal));
      }),
    );
    expect(await stale(keys)).toEqual([]);
    const progress = (await keys.reencryption.progress()).find(({ table_name }) => table_name === 'things');
    expect(progress).toMatchObject({ state: 'complete', scanned: 60, failed: 0 });
  });

  test('a row that cannot be opened is counted and named, and keeps no other back', async () => {
    const keys = await stage(20);
    await sql`update things set namespace = 'root.moved' where id = ${idOf(4)}`.execute(keys.database.db);
    await sql`update things set secret = 'not an envelope' where id = ${idOf(5)}`.execute(keys.database.db);
    await sql`update things set secret = null where id = ${idOf(6)}`.execute(keys.database.db);
    const progress = (await keys.reencryption.run(signal)).find(({ table_name }) => table_name === 'things');
    expect(progress).toMatchObject({ state: 'complete', scanned: 19, changed: 17, failed: 2, first_failure: `${idOf(4)}: ciphertext_invalid` });
    expect(await keys.retirement.retireUnused()).toEqual([]);
  });

  test('an abort ends it between two rows', async () => {
    const keys = await stage(20);
    const abort = new AbortController();
    abort.abort(new Error('enough'));
    await expect(keys.reencryption.run(abort.signal)).rejects.toThrow('enough');
    expect(await stale(keys)).toHaveLength(20);
  });
});
