import { SallyportError } from '@sallyport/sdk';
import { type RawBuilder, sql } from 'kysely';
import { namespaceCondition } from '../namespaces/namespace-condition.js';
import { formatNamespaceMatcher, matchesNamespace, type NamespaceMatcher, type NamespaceScope, simplified } from '../namespaces/namespace-matcher.js';
import { lineageOf } from '../namespaces/namespace-path.js';
import { intersect } from './algebra.js';
import { entriesOf, type Permission, type Permissions, permissionsOf } from './permission.js';
import { readMatcher } from './read-matcher.js';

// SQLite takes 32,766 parameters in a statement, and expressions that are no more than a thousand deep.
const MOST_IDS = 16_000;
const MOST_CLAUSES = 256;
const TOO_INTRICATE = 'permissions: too many resource_ids are left under the token for a list';

/** Rows of these namespaces, and of these ids if there are any. `ids` is never empty. */
interface ScopeClause {
  readonly namespace: NamespaceMatcher;
  readonly ids?: readonly [string, ...string[]];
}

/** The rows that a list may show: those of any clause. «Nothing» shows none, and is what a list must refuse or answer empty, never unfiltered. */
export type ListScope = { readonly kind: 'nothing' } | { readonly kind: 'some'; readonly clauses: readonly [ScopeClause, ...ScopeClause[]] };

/**
 * What the holder may see of a resource in a list, narrowed to `namespace` (`root.a` or `root.a.**`) where the reader asked for that. Each row in the
 * scope is one that a check of the same verb with the row's id would allow, and none is left out, so pages and sums need no second look.
 */
export function listScope(
  permissions: Permissions,
  query: { readonly resource: string; readonly verb: string; readonly namespace?: string },
): ListScope {
  const asked = permissionsOf([{ namespace: query.namespace ?? 'root.**', resources: [query.resource], verbs: [query.verb] }]);
  const clauses = entriesOf(intersect(permissions, asked)).flatMap(clauseOf);
  const whole = simplified(clauses.flatMap(({ namespace, ids }) => (ids === undefined ? [namespace] : [])));
  const [first, ...rest] = [...whole.map((namespace) => ({ namespace })), ...clausesWithIds(clauses, whole)];
  return first === undefined ? { kind: 'nothing' } : { kind: 'some', clauses: [first, ...rest] };
}

/**
 * The clauses with ids that say something besides the namespaces that are shown whole, one for each namespace. More than a statement holds, which
 * takes a token made for it, are refused with `permission_invalid`.
 */
function clausesWithIds(clauses: readonly ScopeClause[], whole: NamespaceScope): readonly ScopeClause[] {
  const known = new Set(whole.map(formatNamespaceMatcher));
  const covered = ({ path, subtree }: NamespaceMatcher): boolean =>
    (!subtree && known.has(path)) || lineageOf(path).some((above) => known.has(formatNamespaceMatcher({ path: above, subtree: true })));
  const byNamespace = new Map<string, { readonly namespace: NamespaceMatcher; readonly ids: Set<string> }>();
  for (const { namespace, ids = [] } of clauses) {
    if (ids.length === 0 || covered(namespace)) continue;
    const text = formatNamespaceMatcher(namespace);
    const same = byNamespace.get(text) ?? { namespace, ids: new Set() };
    byNamespace.set(text, same);
    for (const id of ids) same.ids.add(id);
  }
  let total = 0;
  return [...byNamespace.values()].flatMap(({ namespace, ids }): readonly ScopeClause[] => {
    const [first, ...rest] = ids;
    total += ids.size;
    if (total > MOST_IDS || byNamespace.size > MOST_CLAUSES) throw new SallyportError('permission_invalid', { detail: TOO_INTRICATE });
    return first === undefined ? [] : [{ namespace, ids: [first, ...rest] }];
  });
}

/** Whether a row is in the scope. What the database answers and what this answers are the same. */
export function inScope(scope: ListScope, row: { readonly namespace: string; readonly id: string }): boolean {
  if (scope.kind === 'nothing') return false;
  return scope.clauses.some(({ namespace, ids }) => matchesNamespace(namespace, row.namespace) && (ids?.includes(row.id) ?? true));
}

/**
 * The scope as a condition on the columns that hold a row's namespace and its id, which an index on the namespace serves. Nothing is a condition that
 * no row fulfils. Paths are compared and never used as patterns.
 */
export function scopeCondition(scope: ListScope, columns: { readonly namespace: string; readonly id: string }): RawBuilder<boolean> {
  const whole = namespaceCondition(columns.namespace, wholeNamespaces(scope));
  if (scope.kind === 'nothing') return whole;
  const single = scope.clauses.flatMap(({ namespace, ids }) =>
    ids === undefined ? [] : [sql<boolean>`(${namespaceCondition(columns.namespace, [namespace])} and ${sql.ref(columns.id)} in (${sql.join(ids)}))`],
  );
  return sql<boolean>`(${sql.join([whole, ...single], sql` or `)})`;
}

/** The namespaces that the scope shows whole, for lists whose rows have no ids that a permission could name. */
export function wholeNamespaces(scope: ListScope): NamespaceScope {
  return scope.kind === 'nothing' ? [] : scope.clauses.filter(({ ids }) => ids === undefined).map(({ namespace }) => namespace);
}

// An entry with methods or paths is about requests that are sent, and shows no rows.
function clauseOf({ namespace, resource_ids: ids, methods, paths }: Permission): readonly ScopeClause[] {
  const matcher = readMatcher(namespace);
  if (matcher === null || methods !== undefined || paths !== undefined) return [];
  if (ids === undefined) return [{ namespace: matcher }];
  const [first, ...rest] = ids;
  return first === undefined ? [] : [{ namespace: matcher, ids: [first, ...rest] }];
}
