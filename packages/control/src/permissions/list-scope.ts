import { type RawBuilder, sql } from 'kysely';
import { namespaceCondition } from '../namespaces/namespace-condition.js';
import { coversMatcher, matchesNamespace, type NamespaceMatcher, type NamespaceScope } from '../namespaces/namespace-matcher.js';
import { intersect } from './algebra.js';
import { entriesOf, type Permission, type Permissions, permissionsOf } from './permission.js';
import { readMatcher } from './read-matcher.js';

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
  const whole = clauses.filter(({ ids }) => ids === undefined);
  const [first, ...rest] = clauses.filter(
    (clause) => !whole.some((other) => other !== clause && coversMatcher(other.namespace, clause.namespace) && !same(other, clause)),
  );
  return first === undefined ? { kind: 'nothing' } : { kind: 'some', clauses: [first, ...rest] };
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

function same(a: ScopeClause, b: ScopeClause): boolean {
  return a.ids === b.ids && a.namespace.path === b.namespace.path && a.namespace.subtree === b.namespace.subtree;
}
