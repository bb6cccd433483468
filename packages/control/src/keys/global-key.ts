import type { Database } from '../database/open-database.js';
import { findKey, GLOBAL_KEY, versionsOf } from './key-store.js';
import { type KeyRow, keyTables } from './key-tables.js';
import type { Keyring } from './keyring.js';
import { probeProvider } from './provider.js';

const PROVIDER_TIMEOUT_MS = 30_000;

/**
 * Makes the global key with its first version, if it is not there. Call it once at the start, before anything is encrypted: rejects with
 * `key_provider_failed` when its provider does not give back what it wraps.
 */
export async function ensureGlobalKey(database: Database, keyring: Keyring, now: () => number = Date.now): Promise<void> {
  const { db } = database;
  const time = now();
  const row: KeyRow = {
    ...{ id: GLOBAL_KEY, namespace: 'root', name: null, state: 'active', provider: keyring.globalProvider.type, key_data: null, version: 1 },
    ...{ created_at: time, updated_at: time, deleted_at: null },
  };
  await keyTables(db)
    .insertInto('encryption_keys')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
  await probeProvider(keyring.globalProvider, AbortSignal.timeout(PROVIDER_TIMEOUT_MS));
  // Read before its versions are: of two processes that start together one adds the version, and the other finds the key changed.
  const key = (await findKey(db, GLOBAL_KEY)) ?? row;
  if ((await versionsOf(db, GLOBAL_KEY)).length === 0) await keyring.addVersion(key);
}

/** Whether something may have been encrypted already. */
export async function globalKeyExists(database: Database): Promise<boolean> {
  return (await findKey(database.db, GLOBAL_KEY)) !== null;
}
