import { type ListDefinition, type Page, type PageRequest, planPage, readPage } from '../database/paging.js';
import type { Queryable } from '../database/schema.js';
import type { Sealer } from '../database/sealer.js';
import { parseSelector } from '../labels/selector.js';
import { selectorCondition } from '../labels/selector-condition.js';
import { parseNamespaceMatcher } from '../namespaces/namespace-matcher.js';
import type { Authority } from '../permissions/authority.js';
import { type ListScope, scopeCondition } from '../permissions/list-scope.js';
import { type KeyRow, type KeyVersionRow, keyTables } from './key-tables.js';

/** What a list of keys can be narrowed to, besides namespaces. A type, so that it fits where JSON is wanted. */
export type KeyConditions = {
  readonly name?: string | undefined;
  readonly state?: 'active' | 'disabled' | undefined;
  readonly label_selector?: string | undefined;
};

/** Which keys a client wants to see. `namespace` is a matcher. */
export type KeyFilter = KeyConditions & { readonly namespace?: string | undefined };

/** The list of keys. */
export const keyList: ListDefinition = {
  name: 'encryption_keys',
  orders: { created_at: ['created_at', 'id'], updated_at: ['updated_at', 'id'], state: ['state', 'created_at', 'id'] },
  defaultOrder: 'created_at ASC',
};

/** The list of the versions of one key. */
export const keyVersionList: ListDefinition = { name: 'encryption_key_versions', orders: { ordinal: ['ordinal'] }, defaultOrder: 'ordinal DESC' };

/** The live keys that a reader may see and that the conditions let through. */
export function selectKeys(db: Queryable, scope: ListScope, { name, state, label_selector: labels }: KeyConditions) {
  let query = keyTables(db).selectFrom('encryption_keys').selectAll().where('deleted_at', 'is', null);
  query = query.where(scopeCondition(scope, { namespace: 'namespace', id: 'id' }));
  if (name !== undefined) query = query.where('name', '=', name);
  if (state !== undefined) query = query.where('state', '=', state);
  if (labels !== undefined) query = query.where(selectorCondition('key', 'encryption_keys.id', parseSelector(labels)));
  return query;
}

/** A page of the keys that the authority lets one see. Nothing that one may see at all is `permission_denied`. */
export async function listKeys(db: Queryable, sealer: Sealer, request: PageRequest<KeyFilter>, authority: Authority): Promise<Page<KeyRow>> {
  const plan = planPage(keyList, request, sealer);
  const { namespace, ...conditions } = plan.filter;
  if (namespace !== undefined) parseNamespaceMatcher(namespace);
  const scope = authority.scope({ resource: 'keys', verb: 'list', ...(namespace === undefined ? {} : { namespace }) });
  return readPage(selectKeys(db, scope, conditions), keyList, plan, sealer);
}

/** The versions of a key. */
export function selectVersions(db: Queryable, keyId: string) {
  return keyTables(db).selectFrom('encryption_key_versions').selectAll().where('key_id', '=', keyId);
}

/** A page of the versions of a key, the newest first. */
export async function listVersions(
  db: Queryable,
  sealer: Sealer,
  keyId: string,
  request: PageRequest<{ readonly key?: string }>,
): Promise<Page<KeyVersionRow>> {
  // The key stands in the filter, so that a cursor of one key is refused at another.
  const plan = planPage(keyVersionList, { ...request, filter: { key: keyId } }, sealer);
  return readPage(selectVersions(db, keyId), keyVersionList, plan, sealer);
}
