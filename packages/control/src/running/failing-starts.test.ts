import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { onlyOn } from '../coordination/coordination.test.support.js';
import { migrate } from '../database/migrate.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { migrateStores } from './open-stores.js';
import { configOn, folder, openThings, served, takenPort } from './running.test.support.js';
import { startControl } from './start-control.js';

/** Starts it as it is, without tables made beforehand, and expects that this fails and that nothing is left open. */
async function failure(config: ReturnType<typeof configOn>): Promise<SallyportError> {
  const before = openThings();
  const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} } as unknown as Parameters<typeof startControl>[1]['logger'];
  const error: unknown = await startControl(config, { services: ['api', 'admin-api', 'worker'], logger: silent, version: '1' }).then(
    (running) => running.stop().then(() => 'it started'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SallyportError);
  await expect.poll(openThings).toBeLessThanOrEqual(before);
  return error as SallyportError;
}

describeOnBoth('a control plane that cannot start', (databases) => {
  test.each(['api', 'admin_api', 'worker'])('says which port of %s is taken, and lets the others go', async (service) => {
    const options = await databases.empty();
    const port = await takenPort();
    await migrateStores(configOn(options));
    const error = await failure(configOn(options, { services: { [service]: { port } } }));
    expect(error).toMatchObject({ code: 'address_in_use', message: expect.stringContaining(`127.0.0.1:${port}`) as string });
  });

  test('and no port of the health either', async () => {
    const options = await databases.empty();
    const port = await takenPort();
    await migrateStores(configOn(options));
    expect((await failure(configOn(options, { services: { admin_api: { health_port: port } } }))).code).toBe('address_in_use');
  });

  test('an address that is not of this machine', async () => {
    const options = await databases.empty();
    await migrateStores(configOn(options));
    expect((await failure(configOn(options, { services: { api: { host: '192.0.2.1' } } }))).code).toBe('bind_failed');
  });

  test('certificates that are none', async () => {
    const options = await databases.empty();
    await migrateStores(configOn(options));
    const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(folder(), name)) as [string, string];
    for (const file of [cert, key]) writeFileSync(file, 'no certificate', { mode: 0o600 });
    expect((await failure(configOn(options, { services: { admin_api: { tls: { cert, key } } } }))).code).toBe('tls_files_invalid');
  });

  test('a database that another global key has been used with', async () => {
    const options = await databases.empty();
    await (await served(configOn(options), ['api'])).stop();
    const error = await failure(configOn(options, { system_auth: { global_key: { value: 'another key altogether' } } }));
    expect(error.code).not.toBe('internal_error');
    expect(error.message).not.toContain('another key');
  });

  test('a schema from the future', async () => {
    const options = await databases.empty();
    await migrateStores(configOn(options));
    const database = databases.opened(options);
    await sql`insert into schema_migrations (number, name, checksum, applied_at) values (9999, 'later', 'x', 0)`.execute(database.db);
    expect((await failure(configOn(options))).code).toBe('schema_unknown');
    await expect(migrateStores(configOn(options))).rejects.toMatchObject({ code: 'schema_unknown' });
  });

  onlyOn(databases, 'postgres', () => {
    test('a server whose tables nobody has made: it says how', async () => {
      const error = await failure(configOn(await databases.empty()));
      expect(error).toMatchObject({ code: 'schema_outdated', hint: expect.stringContaining('sallyport migrate') as string });
    });

    test('a server that lacks the tables of the task engine alone', async () => {
      const options = await databases.empty();
      await migrate(databases.opened(options));
      expect((await failure(configOn(options))).code).toBe('schema_outdated');
    });

    test('a server that is not there', async () => {
      const url = `postgres://me:a-password-to-keep@127.0.0.1:1/sallyport?sslmode=disable`;
      const error = await failure(configOn({ provider: 'postgres', url }));
      expect(error.code).toBe('database_unavailable');
      expect(JSON.stringify([error.message, error.hint, error.members])).not.toContain('a-password-to-keep');
    });
  });

  onlyOn(databases, 'sqlite', () => {
    test('a database whose key file is gone', async () => {
      const path = join(folder(), 'sallyport', 'sallyport.db');
      mkdirSync(join(path, '..'));
      const config = configOn({ provider: 'sqlite', path }, { system_auth: { global_key: undefined } });
      await (await served(config, ['api'])).stop();
      rmSync(join(path, '..', 'global.key'));
      const error = await failure(config);
      expect(error).toMatchObject({ code: 'global_key_missing', message: expect.stringContaining('global.key') as string });
    });

    test('a folder that cannot be', async () => {
      const file = join(folder(), 'file');
      writeFileSync(file, '');
      expect((await failure(configOn({ provider: 'sqlite', path: join(file, 'sallyport.db') }))).code).toBe('database_unavailable');
    });
  });
});
