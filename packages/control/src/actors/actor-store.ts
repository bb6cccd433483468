import type { SelectQueryBuilder } from 'kysely';
import { type Queryable, type Schema, withTables } from '../database/schema.js';
import { updateVersion } from '../database/versioned-update.js';
import { parseSelector } from '../labels/selector.js';
import { selectorCondition } from '../labels/selector-condition.js';
import { inActiveNamespace } from '../namespaces/active-condition.js';
import { type ListScope, scopeCondition } from '../permissions/list-scope.js';

/** Where an actor comes from. What comes from the configuration, a key directory or an identity provider is changed there. */
export type ActorSource = 'api' | 'config' | 'key_directory' | 'token' | 'oidc';

/** A row of `actors`. Times in milliseconds since 1970; `permissions` is JSON. */
export interface ActorRow {
  id: string;
  namespace: string;
  external_id: string;
  permissions: string;
  source: ActorSource;
  version: number;
  /** Tokens that this system has made for the actor are good only with this number in them. */
  token_generation: number;
  created_at: number;
  updated_at: number;
  deleted_at: number | null;
}

interface Tables {
  actors: ActorRow;
}

/** What a list of actors can be narrowed to. */
export type ActorConditions = {
  readonly external_id?: string | undefined;
  readonly source?: ActorSource | undefined;
  readonly label_selector?: string | undefined;
};

/** The live actor of this id. */
export function findActor(db: Queryable, id: string): Promise<ActorRow | undefined> {
  return withTables<Tables>(db).selectFrom('actors').selectAll().where('id', '=', id).where('deleted_at', 'is', null).executeTakeFirst();
}

/** The live actors. */
export function selectLiveActors(db: Queryable): SelectQueryBuilder<Schema & Tables, 'actors', ActorRow> {
  return withTables<Tables>(db).selectFrom('actors').selectAll().where('deleted_at', 'is', null);
}

/** The live actor of this name, in a namespace that is active: what every request with a token asks. */
export function selectActorByName(db: Queryable, namespace: string, externalId: string): SelectQueryBuilder<Schema & Tables, 'actors', ActorRow> {
  const query = selectLiveActors(db).where('namespace', '=', namespace).where('external_id', '=', externalId);
  return query.where(inActiveNamespace('actors.namespace'));
}

/** The live actor of this id, in a namespace that is active: what every request with a session asks. */
export function selectActorById(db: Queryable, id: string): SelectQueryBuilder<Schema & Tables, 'actors', ActorRow> {
  return selectLiveActors(db).where('id', '=', id).where(inActiveNamespace('actors.namespace'));
}

/** The live actor of this name, whatever state its namespace is in. */
export function findActorByName(db: Queryable, namespace: string, externalId: string): Promise<ActorRow | undefined> {
  return selectLiveActors(db).where('namespace', '=', namespace).where('external_id', '=', externalId).executeTakeFirst();
}

/** Some live actors of a namespace. */
export function findActorsIn(db: Queryable, namespace: string, most: number): Promise<ActorRow[]> {
  return selectLiveActors(db).where('namespace', '=', namespace).orderBy('external_id').limit(most).execute();
}

/** True when an actor of this name was deleted and is not purged yet. */
export async function wasDeleted(db: Queryable, namespace: string, externalId: string): Promise<boolean> {
  const query = withTables<Tables>(db).selectFrom('actors').select('id').where('namespace', '=', namespace).where('external_id', '=', externalId);
  return (await query.where('deleted_at', 'is not', null).limit(1).executeTakeFirst()) !== undefined;
}

/** All live actors of a source. */
export function findActorsOf(db: Queryable, source: ActorSource): Promise<ActorRow[]> {
  return withTables<Tables>(db).selectFrom('actors').selectAll().where('source', '=', source).where('deleted_at', 'is', null).orderBy('id').execute();
}

/** The live actors that a reader may see. */
export function selectActors(db: Queryable, scope: ListScope, conditions: ActorConditions): SelectQueryBuilder<Schema & Tables, 'actors', ActorRow> {
  let query = withTables<Tables>(db).selectFrom('actors').selectAll().where('deleted_at', 'is', null);
  query = query.where(scopeCondition(scope, { namespace: 'namespace', id: 'id' }));
  if (conditions.external_id !== undefined) query = query.where('external_id', '=', conditions.external_id);
  if (conditions.source !== undefined) query = query.where('source', '=', conditions.source);
  if (conditions.label_selector !== undefined) query = query.where(selectorCondition('act', 'actors.id', parseSelector(conditions.label_selector)));
  return query;
}

/** Rejects with a unique violation when there is a live actor of this name. */
export async function insertActor(trx: Queryable, row: ActorRow): Promise<void> {
  await withTables<Tables>(trx).insertInto('actors').values(row).execute();
}

/** Changes the row if it still has the version that was read. */
export async function updateActor(trx: Queryable, read: ActorRow, changes: Partial<ActorRow>): Promise<void> {
  await updateVersion(withTables<Tables>(trx).updateTable('actors').set(changes).where('id', '=', read.id), read);
}

/** Begins another generation of tokens for the live actor of this id, and answers its namespace. */
export async function endTokensOf(trx: Queryable, id: string): Promise<string | undefined> {
  const query = withTables<Tables>(trx)
    .updateTable('actors')
    .set((eb) => ({ token_generation: eb('token_generation', '+', 1) }));
  const changed = query.where('id', '=', id).where('deleted_at', 'is', null).returning('namespace');
  return (await changed.executeTakeFirst())?.namespace;
}
