import { SallyportError } from '@sallyport/sdk';
import type { ChangeContext } from '../audit/audit-trail.js';
import type { Database } from '../database/open-database.js';
import { lineageOf } from '../namespaces/namespace-path.js';
import type { Namespaces } from '../namespaces/namespaces.js';
import { changeKey, findKey } from './key-store.js';
import { keyTables } from './key-tables.js';
import type { RecordKeyChange } from './key-trail.js';
import type { Keyring } from './keyring.js';

/** Which namespaces have a key of their own. */
export interface KeyAssignments {
  /** Lets a key of the namespace itself or of one above it encrypt for the namespace and what is below it. */
  assign(namespace: string, keyId: string, who: ChangeContext): Promise<void>;
  /** The namespace inherits again; also when it did already. With `keyId` only from this key: `precondition_failed` when it has another one by now. */
  unassign(namespace: string, who: ChangeContext, keyId?: string): Promise<void>;
  /** The key of the namespace itself, or null when it inherits. */
  assigned(namespace: string): Promise<string | null>;
}

interface KeyAssignmentsOptions {
  readonly database: Database;
  readonly keyring: Pick<Keyring, 'refresh'>;
  readonly namespaces: Pick<Namespaces, 'requireActive'>;
  readonly record: RecordKeyChange;
  readonly now: () => number;
}

export function createKeyAssignments({ database, keyring, namespaces, record, now }: KeyAssignmentsOptions): KeyAssignments {
  async function assign(namespace: string, keyId: string, who: ChangeContext): Promise<void> {
    await database.transaction(async (trx) => {
      await namespaces.requireActive(trx, namespace);
      const key = await findKey(trx, keyId);
      if (key === null) throw new SallyportError('key_not_found');
      if (!lineageOf(namespace).includes(key.namespace)) {
        const detail = `The key belongs to the namespace ${key.namespace}, which is neither ${namespace} nor above it.`;
        throw new SallyportError('key_out_of_reach', { detail });
      }
      // Counts the key's version up, so that a deletion under way at the same time notices.
      if (!(await changeKey(trx, key, {}, now()))) throw new SallyportError('precondition_failed');
      const row = { namespace, key_id: keyId, updated_at: now() };
      const insert = keyTables(trx).insertInto('namespace_encryption_keys').values(row);
      await insert.onConflict((conflict) => conflict.column('namespace').doUpdateSet({ key_id: keyId, updated_at: now() })).execute();
      await record(trx, who, 'assign', { id: keyId, namespace });
    });
    keyring.refresh();
  }

  async function unassign(namespace: string, who: ChangeContext, keyId?: string): Promise<void> {
    await database.transaction(async (trx) => {
      const removed = await keyTables(trx)
        .deleteFrom('namespace_encryption_keys')
        .where('namespace', '=', namespace)
        .returning('key_id')
        .executeTakeFirst();
      if (removed === undefined) return;
      if (keyId !== undefined && removed.key_id !== keyId) throw new SallyportError('precondition_failed');
      await record(trx, who, 'unassign', { id: removed.key_id, namespace });
    });
    keyring.refresh();
  }

  async function assigned(namespace: string): Promise<string | null> {
    const query = keyTables(database.db).selectFrom('namespace_encryption_keys').select('key_id').where('namespace', '=', namespace);
    return (await query.executeTakeFirst())?.key_id ?? null;
  }

  return { assign, unassign, assigned };
}
