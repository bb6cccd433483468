import type { Kysely, RawBuilder, SelectQueryBuilder } from 'kysely';
import { newId } from '../database/ids.js';
import { type PurgeTarget, softDeleted } from '../database/purge.js';
import { type Queryable, type Schema, withTables } from '../database/schema.js';
import { updateVersion } from '../database/versioned-update.js';
import { pathKey, pathKeyCondition } from './namespace-condition.js';
import type { NamespaceScope } from './namespace-matcher.js';
import { nameOf, parentOf } from './namespace-path.js';

/** `active` → `destroying` → `destroyed`, and never back. Nothing below a namespace is more alive than it. */
export type NamespaceState = 'active' | 'destroying' | 'destroyed';

export interface NamespacesTable {
  id: string;
  path: string;
  path_key: string;
  parent_path: string | null;
  name: string;
  state: NamespaceState;
  version: number;
  created_at: number;
  updated_at: number;
  deleted_at: number | null;
}

export interface NamespaceDestructionsTable {
  id: string;
  path: string;
  path_key: string;
  actor_id: string;
  request_id: string | null;
  total: number;
  destroyed: number;
  /** Batches that failed since the last one that did not. */
  failures: number;
  /** The code of the error of the last of them. */
  failure: string | null;
  /** When the next batch may be tried. */
  due_at: number;
  created_at: number;
  finished_at: number | null;
}

interface NamespaceTables {
  namespaces: NamespacesTable;
  namespace_destructions: NamespaceDestructionsTable;
}

type NamespaceQuery = SelectQueryBuilder<Schema & NamespaceTables, 'namespaces', NamespacesTable>;
type DestructionQuery = SelectQueryBuilder<Schema & NamespaceTables, 'namespace_destructions', NamespaceDestructionsTable>;

/** What a client wants to see of the tree. */
export type NamespaceConditions = {
  readonly state?: NamespaceState | undefined;
  /** Those directly in this one. */
  readonly children_of?: string | undefined;
  /** The last segment. */
  readonly name?: string | undefined;
};

/** What is left of namespaces that are gone. */
export const goneNamespaces: PurgeTarget = softDeleted('namespaces');

/** What is left of their deletions. */
export const finishedDestructions: PurgeTarget = { table: 'namespace_destructions', key: ['id'], timeColumn: 'finished_at' };

export async function findNamespace(db: Queryable, path: string): Promise<NamespacesTable | undefined> {
  return live(db).where('path_key', '=', pathKey(path)).executeTakeFirst();
}

export async function findNamespaces(db: Queryable, paths: readonly string[]): Promise<readonly NamespacesTable[]> {
  return live(db).where('path_key', 'in', paths.map(pathKey)).execute();
}

export async function insertNamespace(db: Queryable, path: string, now: number): Promise<NamespacesTable> {
  const row: NamespacesTable = {
    id: newId('ns'),
    path,
    path_key: pathKey(path),
    parent_path: parentOf(path) ?? null,
    name: nameOf(path),
    state: 'active',
    version: 1,
    created_at: now,
    updated_at: now,
    deleted_at: null,
  };
  await tables(db).insertInto('namespaces').values(row).execute();
  return row;
}

/** The namespaces in the scope that are not gone and meet all conditions, in no order yet. */
export function selectNamespaces(db: Queryable, scope: NamespaceScope, conditions: NamespaceConditions): NamespaceQuery {
  let query = live(db).where(pathKeyCondition('path_key', scope));
  if (conditions.state !== undefined) query = query.where('state', '=', conditions.state);
  if (conditions.children_of !== undefined) query = query.where('parent_path', '=', conditions.children_of);
  if (conditions.name !== undefined) query = query.where('name', '=', conditions.name);
  return query;
}

/** The next namespaces at and below a path, in the order of the tree: whatever one is in comes before it. */
export function selectTreeAfter(db: Queryable, path: string, after: string | undefined, limit: number): NamespaceQuery {
  const query = live(db).where(atOrBelow(path)).orderBy('path_key').limit(limit);
  return after === undefined ? query : query.where('path_key', '>', pathKey(after));
}

/** Counts the version up if it is still the one that was read; otherwise `precondition_failed`. */
export async function touchNamespace(db: Queryable, row: NamespacesTable, now: number): Promise<NamespacesTable> {
  await updateVersion(tables(db).updateTable('namespaces').set({ updated_at: now }).where('id', '=', row.id), row);
  return { ...row, version: row.version + 1, updated_at: now };
}

/** Marks the namespace and all below it in one statement. Answers how many are to be destroyed. */
export async function markDestroying(db: Queryable, path: string, now: number): Promise<number> {
  await tables(db)
    .updateTable('namespaces')
    .set((eb) => ({ state: 'destroying', version: eb('version', '+', 1), updated_at: now }))
    .where(atOrBelow(path))
    .where('deleted_at', 'is', null)
    .where('state', '=', 'active')
    .execute();
  const { count } = await tables(db)
    .selectFrom('namespaces')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where(atOrBelow(path))
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow();
  return count;
}

/** Namespaces at and below the path that are being destroyed, those below before what they are in. One that is active is never among them. */
export function selectNextToDestroy(db: Queryable, path: string, limit: number): NamespaceQuery {
  return live(db).where(atOrBelow(path)).where('state', '=', 'destroying').orderBy('path_key', 'desc').limit(limit);
}

export async function markDestroyed(db: Queryable, ids: readonly string[], now: number): Promise<void> {
  if (ids.length === 0) return;
  await tables(db)
    .updateTable('namespaces')
    .set((eb) => ({ state: 'destroyed', version: eb('version', '+', 1), updated_at: now, deleted_at: now }))
    .where('id', 'in', ids)
    .where('state', '=', 'destroying')
    .execute();
}

export async function insertDestruction(db: Queryable, row: NamespaceDestructionsTable): Promise<void> {
  await tables(db).insertInto('namespace_destructions').values(row).execute();
}

/** The oldest destruction that is under way for one of these paths. */
export async function openDestructionOf(db: Queryable, paths: readonly string[]): Promise<NamespaceDestructionsTable | undefined> {
  const query = openDestructions(db).where('path_key', 'in', paths.map(pathKey));
  return query.orderBy('created_at').orderBy('id').limit(1).executeTakeFirst();
}

/** The destruction whose turn it is: the oldest under way that has not failed, and then those whose pause after a failure is over. */
export function selectNextDestruction(db: Queryable, now: number): DestructionQuery {
  return openDestructions(db).where('due_at', '<=', now).orderBy('due_at').orderBy('id').limit(1);
}

/** The one whose turn it is and that nobody else is working on at this moment. */
export async function claimDestruction(db: Queryable, dialect: 'sqlite' | 'postgres', now: number): Promise<NamespaceDestructionsTable | undefined> {
  const query = selectNextDestruction(db, now);
  return (dialect === 'postgres' ? query.forUpdate().skipLocked() : query).executeTakeFirst();
}

export async function findDestruction(db: Queryable, id: string): Promise<NamespaceDestructionsTable | undefined> {
  return tables(db).selectFrom('namespace_destructions').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Notes a batch that worked. */
export async function advanceDestruction(db: Queryable, id: string, destroyed: number): Promise<void> {
  await tables(db)
    .updateTable('namespace_destructions')
    .set((eb) => ({ destroyed: eb('destroyed', '+', destroyed), failures: 0, failure: null }))
    .where('id', '=', id)
    .execute();
}

/**
 * Ends the destruction of a path and with it those below it, which have nothing left to do: an open one always has its namespace, so that none is
 * still there when somebody takes the path again. Answers those that ended.
 */
export async function finishDestructions(db: Queryable, path: string, now: number): Promise<readonly NamespaceDestructionsTable[]> {
  const ending = await openDestructions(db).where(atOrBelow(path)).orderBy('path_key').execute();
  await tables(db)
    .updateTable('namespace_destructions')
    .set({ failures: 0, failure: null, finished_at: now })
    .where('finished_at', 'is', null)
    .where(atOrBelow(path))
    .execute();
  return ending;
}

/** Notes a batch that failed, and lets others go first until `dueAt`. */
export async function postponeDestruction(db: Queryable, id: string, failure: string, dueAt: number): Promise<void> {
  await tables(db)
    .updateTable('namespace_destructions')
    .set((eb) => ({ failures: eb('failures', '+', 1), failure, due_at: dueAt }))
    .where('id', '=', id)
    .where('finished_at', 'is', null)
    .execute();
}

function openDestructions(db: Queryable): DestructionQuery {
  return tables(db).selectFrom('namespace_destructions').selectAll().where('finished_at', 'is', null);
}

function atOrBelow(path: string): RawBuilder<boolean> {
  return pathKeyCondition('path_key', [{ path, subtree: true }]);
}

function live(db: Queryable): NamespaceQuery {
  return tables(db).selectFrom('namespaces').selectAll().where('deleted_at', 'is', null);
}

function tables(db: Queryable): Kysely<Schema & NamespaceTables> {
  return withTables<NamespaceTables>(db);
}
