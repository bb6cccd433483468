import { type ListDefinition, type Page, type PageRequest, planPage, readPage } from '../database/paging.js';
import type { Queryable } from '../database/schema.js';
import type { Sealer } from '../database/sealer.js';
import { parseSelector } from '../labels/selector.js';
import { selectorCondition } from '../labels/selector-condition.js';
import { namespaceCondition } from '../namespaces/namespace-condition.js';
import { type NamespaceScope, narrowScope } from '../namespaces/namespace-matcher.js';
import { type KeyRow, keyTables } from './key-tables.js';

/** Which keys a client wants to see. `namespace` is a matcher. A type, so that it fits where JSON is wanted. */
export type KeyFilter = {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly state?: 'active' | 'disabled' | undefined;
  readonly label_selector?: string | undefined;
};

/** The list of keys. */
const keyList: ListDefinition = {
  name: 'encryption_keys',
  orders: { created_at: ['created_at', 'id'] },
  defaultOrder: 'created_at ASC',
};

/** A page of the keys that the caller may see and that the filter lets through. */
export async function listKeys(db: Queryable, sealer: Sealer, request: PageRequest<KeyFilter>, visible: NamespaceScope): Promise<Page<KeyRow>> {
  const plan = planPage(keyList, request, sealer);
  const { namespace, name, state, label_selector: labels } = plan.filter;
  let query = keyTables(db).selectFrom('encryption_keys').selectAll().where('deleted_at', 'is', null);
  query = query.where(namespaceCondition('namespace', narrowScope(visible, namespace)));
  if (name !== undefined) query = query.where('name', '=', name);
  if (state !== undefined) query = query.where('state', '=', state);
  if (labels !== undefined) query = query.where(selectorCondition('key', 'encryption_keys.id', parseSelector(labels)));
  return readPage(query, keyList, plan, sealer);
}
