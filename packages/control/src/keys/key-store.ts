import type { Queryable } from '../database/schema.js';
import { lineageOf } from '../namespaces/namespace-path.js';
import { type KeyRow, type KeyVersionRow, keyTables } from './key-tables.js';

/** The key that the configuration of the server holds, and that everything without a key of its own is encrypted with. */
export const GLOBAL_KEY = 'key_global';

/** A key that was not deleted. */
export async function findKey(db: Queryable, id: string): Promise<KeyRow | null> {
  const row = await keyTables(db).selectFrom('encryption_keys').selectAll().where('id', '=', id).where('deleted_at', 'is', null).executeTakeFirst();
  return row ?? null;
}

/** A key, deleted or not: what it encrypted has to be read until its material is destroyed. */
export async function findKeyOrDeleted(db: Queryable, id: string): Promise<KeyRow | null> {
  return (await keyTables(db).selectFrom('encryption_keys').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
}

/** A page of the keys that were not deleted, in the order of their ids. */
export async function keysAfter(db: Queryable, after: string, limit: number): Promise<readonly KeyRow[]> {
  const query = keyTables(db).selectFrom('encryption_keys').selectAll().where('id', '>', after).where('deleted_at', 'is', null);
  return query.orderBy('id').limit(limit).execute();
}

export async function findVersion(db: Queryable, id: string): Promise<KeyVersionRow | null> {
  return (await keyTables(db).selectFrom('encryption_key_versions').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
}

/** All versions of a key, the newest first. */
export async function versionsOf(db: Queryable, keyId: string): Promise<readonly KeyVersionRow[]> {
  return keyTables(db).selectFrom('encryption_key_versions').selectAll().where('key_id', '=', keyId).orderBy('ordinal', 'desc').execute();
}

export async function activeVersionOf(db: Queryable, keyId: string): Promise<KeyVersionRow | null> {
  const query = keyTables(db).selectFrom('encryption_key_versions').selectAll().where('key_id', '=', keyId).where('state', '=', 'active');
  return (await query.executeTakeFirst()) ?? null;
}

/** Which key encrypts for a namespace: that of the nearest namespace of the chain that has one, otherwise the global key. */
export async function resolveKeyId(db: Queryable, namespace: string): Promise<string> {
  const query = keyTables(db).selectFrom('namespace_encryption_keys').select(['namespace', 'key_id']);
  const rows = await query.where('namespace', 'in', lineageOf(namespace)).execute();
  const [nearest] = rows.toSorted((a, b) => b.namespace.length - a.namespace.length);
  return nearest?.key_id ?? GLOBAL_KEY;
}

/** Counts up the version of a key that nobody changed meanwhile, with what else changes; false when somebody did or it is gone. */
export async function changeKey(db: Queryable, key: KeyRow, change: Partial<KeyRow>, now: number): Promise<boolean> {
  const query = keyTables(db)
    .updateTable('encryption_keys')
    .set({ ...change, version: key.version + 1, updated_at: now });
  const { numUpdatedRows } = await query
    .where('id', '=', key.id)
    .where('version', '=', key.version)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Puts a new version in the place of the active one, and answers it. */
export async function insertActiveVersion(
  db: Queryable,
  version: Pick<KeyVersionRow, 'id' | 'key_id' | 'wrapped'>,
  now: number,
): Promise<KeyVersionRow> {
  const tables = keyTables(db);
  const versions = await versionsOf(db, version.key_id);
  const retiring = { state: 'retiring' as const, updated_at: now };
  await tables.updateTable('encryption_key_versions').set(retiring).where('key_id', '=', version.key_id).where('state', '=', 'active').execute();
  const ordinal = (versions[0]?.ordinal ?? 0) + 1;
  const row = { ...version, ordinal, state: 'active' as const, messages: 0, created_at: now, updated_at: now };
  await tables.insertInto('encryption_key_versions').values(row).execute();
  return row;
}

/**
 * Reserves `block` messages for this process, in one statement, so that all processes together stay below `limit`. False when the version is not
 * active any more or has not as many left.
 */
export async function reserveMessages(db: Queryable, id: string, block: number, limit: number): Promise<boolean> {
  const query = keyTables(db)
    .updateTable('encryption_key_versions')
    .set((eb) => ({ messages: eb('messages', '+', block) }))
    .where('id', '=', id)
    .where('state', '=', 'active')
    .where('messages', '<=', limit - block);
  return (await query.executeTakeFirst()).numUpdatedRows === 1n;
}
