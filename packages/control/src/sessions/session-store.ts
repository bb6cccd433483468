import type { SelectQueryBuilder } from 'kysely';
import type { PurgeTarget } from '../database/purge.js';
import { type Queryable, type Schema, withTables } from '../database/schema.js';
import { type ListScope, scopeCondition } from '../permissions/list-scope.js';

/** A row of `sessions`. Times in milliseconds since 1970; `permissions` is JSON, null when the session is not limited. */
export interface SessionRow {
  id: string;
  digest: string;
  service: string;
  actor_id: string;
  namespace: string;
  permissions: string | null;
  signed_in_by: string;
  address: string | null;
  user_agent: string | null;
  created_at: number;
  seen_at: number;
  ends_at: number;
  expires_at: number;
}

interface Tables {
  sessions: SessionRow;
}

/** What a list of sessions can be narrowed to. */
export type SessionConditions = {
  readonly actor_id?: string | undefined;
  readonly service?: string | undefined;
};

/** Sessions that have ended by themselves. */
export const endedSessions: PurgeTarget = { table: 'sessions', key: ['id'], timeColumn: 'ends_at' };

/** The session of this digest, whether it has ended or not: what every request with a session asks. */
export function sessionByDigest(db: Queryable, digest: string): SelectQueryBuilder<Schema & Tables, 'sessions', SessionRow> {
  return withTables<Tables>(db).selectFrom('sessions').selectAll().where('digest', '=', digest);
}

/** The session of this id, unless it has ended. */
export function findSession(db: Queryable, id: string, now: number): Promise<SessionRow | undefined> {
  return withTables<Tables>(db).selectFrom('sessions').selectAll().where('id', '=', id).where('ends_at', '>', now).executeTakeFirst();
}

/** All sessions of an actor, the newest first, those that have ended included. */
export function findSessionsOf(db: Queryable, actorId: string): Promise<SessionRow[]> {
  const query = withTables<Tables>(db).selectFrom('sessions').selectAll().where('actor_id', '=', actorId);
  return query.orderBy('created_at', 'desc').orderBy('id', 'desc').execute();
}

/** Some sessions of a namespace. */
export function findSessionsIn(db: Queryable, namespace: string, most: number): Promise<SessionRow[]> {
  return withTables<Tables>(db).selectFrom('sessions').selectAll().where('namespace', '=', namespace).limit(most).execute();
}

/** The sessions that have not ended, of one actor or of those that a reader may see. */
export function selectSessions(
  db: Queryable,
  scope: ListScope | 'any',
  conditions: SessionConditions,
  now: number,
): SelectQueryBuilder<Schema & Tables, 'sessions', SessionRow> {
  let query = withTables<Tables>(db).selectFrom('sessions').selectAll().where('ends_at', '>', now);
  if (scope !== 'any') query = query.where(scopeCondition(scope, { namespace: 'namespace', id: 'id' }));
  if (conditions.actor_id !== undefined) query = query.where('actor_id', '=', conditions.actor_id);
  if (conditions.service !== undefined) query = query.where('service', '=', conditions.service);
  return query;
}

export async function insertSession(trx: Queryable, row: SessionRow): Promise<void> {
  await withTables<Tables>(trx).insertInto('sessions').values(row).execute();
}

/** Moves the end on, unless another request has done so since the row was read, or it is gone. */
export async function touchSession(db: Queryable, read: SessionRow, change: { readonly seen_at: number; readonly ends_at: number }): Promise<void> {
  const query = withTables<Tables>(db).updateTable('sessions').set(change).where('id', '=', read.id).where('seen_at', '=', read.seen_at);
  await query.execute();
}

/** Answers whether it was there. */
export async function deleteSession(trx: Queryable, id: string): Promise<boolean> {
  const { numDeletedRows } = await withTables<Tables>(trx).deleteFrom('sessions').where('id', '=', id).executeTakeFirstOrThrow();
  return numDeletedRows === 1n;
}
