import type { PurgeTarget } from '../database/purge.js';
import { type Queryable, withTables } from '../database/schema.js';

/** A row of `sign_in_identities`. Times in milliseconds since 1970; `actor_id` is null until the actor has been made. */
export interface IdentityRow {
  issuer: string;
  subject: string;
  namespace: string;
  external_id: string;
  actor_id: string | null;
  created_at: number;
  deleted_at: number | null;
}

interface Tables {
  sign_in_identities: IdentityRow;
}

/** Who a person is at their provider. */
export interface Identity {
  readonly issuer: string;
  readonly subject: string;
}

/** Identities whose actors were deleted. */
export const deletedIdentities: PurgeTarget = {
  table: 'sign_in_identities',
  key: ['issuer', 'subject', 'namespace'],
  timeColumn: 'deleted_at',
};

/** All actors that a person is, one in a namespace. */
export function findIdentities(db: Queryable, { issuer, subject }: Identity): Promise<IdentityRow[]> {
  return withTables<Tables>(db).selectFrom('sign_in_identities').selectAll().where('issuer', '=', issuer).where('subject', '=', subject).execute();
}

/** Rejects with a unique violation when the person, or the name, has one already. */
export async function insertIdentity(trx: Queryable, row: IdentityRow): Promise<void> {
  await withTables<Tables>(trx).insertInto('sign_in_identities').values(row).execute();
}

/** Remembers which actor it became. The first one stays. */
export async function bindIdentity(db: Queryable, { issuer, subject, namespace }: IdentityRow, actorId: string): Promise<void> {
  const query = withTables<Tables>(db).updateTable('sign_in_identities').set({ actor_id: actorId }).where('issuer', '=', issuer);
  await query.where('subject', '=', subject).where('namespace', '=', namespace).where('actor_id', 'is', null).execute();
}

/** Marks the identities of an actor as those of a deleted one. */
export async function markDeleted(trx: Queryable, actorId: string, at: number): Promise<void> {
  const query = withTables<Tables>(trx).updateTable('sign_in_identities').set({ deleted_at: at }).where('actor_id', '=', actorId);
  await query.where('deleted_at', 'is', null).execute();
}
