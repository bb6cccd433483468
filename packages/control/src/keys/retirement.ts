import type { Database } from '../database/open-database.js';
import type { Queryable } from '../database/schema.js';
import { columnUsing, type EncryptedColumns } from './encrypted-columns.js';
import { findKeyOrDeleted } from './key-store.js';
import { type KeyVersionRow, keyTables } from './key-tables.js';

export interface RetirementOptions {
  readonly database: Database;
  readonly columns: EncryptedColumns;
  readonly now?: () => number;
}

/** Ends the life of key versions, in two steps, so that a process that is behind loses nothing. */
export interface Retirement {
  /** Versions that no ciphertext uses any more become `retired`. They can still be read with. Answers their ids. */
  retireUnused(signal?: AbortSignal): Promise<readonly string[]>;
  /**
   * Destroys the material of versions that have been retired for `graceMs` and are, looked at once more in the same transaction, still unused. One
   * that is used again goes back to `retiring`. Choose hours: a process may have encrypted with the version just before it retired.
   */
  purgeRetired(graceMs: number, signal?: AbortSignal): Promise<readonly string[]>;
}

const PAGE = 100;

export function createRetirement({ database, columns, now = Date.now }: RetirementOptions): Retirement {
  async function each(
    state: 'retiring' | 'retired',
    signal: AbortSignal | undefined,
    work: (trx: Queryable, version: KeyVersionRow) => Promise<boolean>,
  ): Promise<readonly string[]> {
    const done: string[] = [];
    for (let after = ''; ; ) {
      const query = keyTables(database.db).selectFrom('encryption_key_versions').select('id').where('state', '=', state);
      const page = await query.where('id', '>', after).where('wrapped', 'is not', null).orderBy('id').limit(PAGE).execute();
      for (const { id } of page) {
        signal?.throwIfAborted();
        if (await database.transaction((trx) => once(trx, id, state, work))) done.push(id);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return done;
      after = last.id;
    }
  }

  async function once(
    trx: Queryable,
    id: string,
    state: string,
    work: (trx: Queryable, version: KeyVersionRow) => Promise<boolean>,
  ): Promise<boolean> {
    const version = await keyTables(trx).selectFrom('encryption_key_versions').selectAll().where('id', '=', id).executeTakeFirst();
    return version?.state === state && (await work(trx, version));
  }

  async function set(trx: Queryable, id: string, change: Partial<KeyVersionRow>): Promise<void> {
    await keyTables(trx)
      .updateTable('encryption_key_versions')
      .set({ ...change, updated_at: now() })
      .where('id', '=', id)
      .execute();
  }

  async function retireUnused(signal?: AbortSignal): Promise<readonly string[]> {
    return each('retiring', signal, async (trx, version) => {
      if ((await columnUsing(trx, columns, [version.id])) !== null) return false;
      await set(trx, version.id, { state: 'retired' });
      return true;
    });
  }

  async function purgeRetired(graceMs: number, signal?: AbortSignal): Promise<readonly string[]> {
    return each('retired', signal, async (trx, version) => {
      if (version.updated_at + graceMs > now()) return false;
      if ((await columnUsing(trx, columns, [version.id])) !== null) {
        await set(trx, version.id, { state: 'retiring' });
        return false;
      }
      await set(trx, version.id, { wrapped: null });
      await destroyProvider(trx, version.key_id);
      return true;
    });
  }

  /** A deleted key needs its provider until the last of its versions is gone; every other key only counts the change. */
  async function destroyProvider(trx: Queryable, keyId: string): Promise<void> {
    const key = await findKeyOrDeleted(trx, keyId);
    if (key === null) return;
    const rest = keyTables(trx).selectFrom('encryption_key_versions').select('id').where('key_id', '=', keyId).where('wrapped', 'is not', null);
    const last = key.deleted_at !== null && (await rest.limit(1).executeTakeFirst()) === undefined;
    const change = { version: key.version + 1, ...(last ? { key_data: null } : {}) };
    await keyTables(trx).updateTable('encryption_keys').set(change).where('id', '=', keyId).execute();
  }

  return { retireUnused, purgeRetired };
}
