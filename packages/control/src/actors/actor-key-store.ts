import { type Expression, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import { type Queryable, type Schema, withTables } from '../database/schema.js';
import { inActiveNamespace } from '../namespaces/active-condition.js';
import type { ActorRow } from './actor-store.js';

/** A row of `actor_keys`. A public key is no secret. Times in milliseconds since 1970; `jwk` is JSON. */
export interface ActorKeyRow {
  id: string;
  actor_id: string;
  thumbprint: string;
  algorithm: string;
  jwk: string;
  name: string | null;
  source: string;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

interface Tables {
  actor_keys: ActorKeyRow;
}

type TablesWithActors = Tables & { actors: Pick<ActorRow, 'id' | 'namespace' | 'external_id' | 'deleted_at'> };

/** All keys of an actor, the oldest first. */
export function findActorKeys(db: Queryable, actorId: string): Promise<ActorKeyRow[]> {
  return withTables<Tables>(db).selectFrom('actor_keys').selectAll().where('actor_id', '=', actorId).orderBy('created_at').orderBy('id').execute();
}

/** The same for a list in pages. */
export function selectActorKeys(db: Queryable, actorId: string): SelectQueryBuilder<Schema & Tables, 'actor_keys', ActorKeyRow> {
  return withTables<Tables>(db).selectFrom('actor_keys').selectAll().where('actor_id', '=', actorId);
}

/** One key of an actor. */
export function findActorKey(db: Queryable, actorId: string, id: string): Promise<ActorKeyRow | undefined> {
  return selectActorKeys(db, actorId).where('id', '=', id).executeTakeFirst();
}

/** The keys of an actor that are good at this time. */
export function findUsableKeys(db: Queryable, actorId: string, at: number): Promise<ActorKeyRow[]> {
  return selectActorKeys(db, actorId).where(isUsable(at)).orderBy('created_at').orderBy('id').execute();
}

/**
 * The keys that are good at this time of the live actor of this name in a namespace that is active, in one statement: every request with a token that
 * claims to be of an actor's own asks for them.
 */
export function findKeysOfName(db: Queryable, namespace: string, externalId: string, at: number): Promise<ActorKeyRow[]> {
  const joined = withTables<TablesWithActors>(db).selectFrom('actors').innerJoin('actor_keys', 'actor_keys.actor_id', 'actors.id');
  const query = joined.selectAll('actor_keys').where('actors.namespace', '=', namespace).where('actors.external_id', '=', externalId);
  const good = query.where('actors.deleted_at', 'is', null).where(inActiveNamespace('actors.namespace')).where(isUsable(at));
  return good.orderBy('actor_keys.created_at').orderBy('actor_keys.id').execute();
}

/** Rejects with a unique violation when the actor has, or had, the same key. */
export async function insertActorKey(trx: Queryable, row: ActorKeyRow): Promise<void> {
  await withTables<Tables>(trx).insertInto('actor_keys').values(row).execute();
}

/** Ends keys at a time; keys that end before stay as they are. */
export async function expireActorKeys(trx: Queryable, ids: readonly string[], at: number): Promise<void> {
  if (ids.length === 0) return;
  const query = withTables<Tables>(trx).updateTable('actor_keys').set({ expires_at: at }).where('id', 'in', ids).where('revoked_at', 'is', null);
  await query.where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', at)])).execute();
}

/** Ends a key now and for good. */
export async function revokeActorKey(trx: Queryable, id: string, at: number): Promise<void> {
  await withTables<Tables>(trx).updateTable('actor_keys').set({ revoked_at: at }).where('id', '=', id).where('revoked_at', 'is', null).execute();
}

/** Ends all keys of an actor now and for good, and answers how many were not revoked yet. */
export async function revokeKeysOf(trx: Queryable, actorId: string, at: number): Promise<number> {
  const query = withTables<Tables>(trx).updateTable('actor_keys').set({ revoked_at: at }).where('actor_id', '=', actorId);
  return Number((await query.where('revoked_at', 'is', null).executeTakeFirstOrThrow()).numUpdatedRows);
}

/** Removes keys that have ended, those first that did so longest ago, until the actor has no more rows than this or none that has ended. */
export async function forgetEndedKeys(trx: Queryable, actorId: string, at: number, most: number): Promise<void> {
  const counted = await selectActorKeys(trx, actorId)
    .clearSelect()
    .select(({ fn }) => fn.countAll<number | string>().as('rows'))
    .executeTakeFirst();
  const excess = Number(counted?.rows ?? 0) - most;
  if (excess <= 0) return;
  const ended = selectActorKeys(trx, actorId)
    .clearSelect()
    .select('id')
    .where((eb) => eb.not(isUsable(at)));
  const oldest = ended.orderBy(sql`coalesce(revoked_at, expires_at)`).orderBy('id').limit(excess);
  await withTables<Tables>(trx).deleteFrom('actor_keys').where('id', 'in', oldest).execute();
}

/** Removes keys, so that the same ones can come back: only for keys that a file or the configuration holds. */
export async function deleteActorKeys(trx: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await withTables<Tables>(trx).deleteFrom('actor_keys').where('id', 'in', ids).execute();
}

function isUsable(at: number): Expression<SqlBool> {
  return sql<SqlBool>`(actor_keys.revoked_at is null and (actor_keys.expires_at is null or actor_keys.expires_at > ${at}))`;
}
