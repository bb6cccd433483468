import { type RawBuilder, sql } from 'kysely';
import { type NamespaceScope, simplified } from './namespace-matcher.js';
import { ROOT } from './namespace-path.js';

/** The character after the dot: what begins with `root.a.` lies from `root.a.` up to `root.a/`. */
const AFTER_DOT = '/';

/**
 * Rows whose `column` holds the path of a namespace in the scope, as a condition that an index on the column serves. Paths are compared, never used
 * as patterns: the `_` in a path stands for itself. No namespace: no row.
 */
export function namespaceCondition(column: string, scope: NamespaceScope): RawBuilder<boolean> {
  const ref = sql.ref(column);
  return anyOf(
    scope,
    (paths) => sql<boolean>`${ref} in (${sql.join(paths)})`,
    // One range, from which the siblings such as `root.a-b` are taken out again: for an `or` of the path and what is below it, SQLite takes no index that
    // leaves deleted rows out, and reads the whole table in the order of the list.
    (path) => sql<boolean>`(${ref} >= ${path} and ${ref} < ${path + AFTER_DOT} and (${ref} = ${path} or ${ref} >= ${pathKey(path)}))`,
  );
}

/**
 * The same on a column that holds the path with a dot after it (see {@link pathKey}): a subtree is then one range of the index, in the order of the
 * tree.
 */
export function pathKeyCondition(column: string, scope: NamespaceScope): RawBuilder<boolean> {
  const ref = sql.ref(column);
  return anyOf(
    scope,
    (paths) => sql<boolean>`${ref} in (${sql.join(paths.map(pathKey))})`,
    (path) => sql<boolean>`(${ref} >= ${pathKey(path)} and ${ref} < ${path + AFTER_DOT})`,
  );
}

/** What a `path_key` column holds for this path. */
export function pathKey(path: string): string {
  return `${path}.`;
}

function anyOf(
  scope: NamespaceScope,
  isOneOf: (paths: readonly string[]) => RawBuilder<boolean>,
  isWithin: (path: string) => RawBuilder<boolean>,
): RawBuilder<boolean> {
  const matchers = simplified(scope);
  // Not `true` and `false`: SQLite knows them only as numbers, and both databases plan these two away.
  if (matchers.length === 0) return sql<boolean>`1 = 0`;
  if (matchers.some(({ path, subtree }) => subtree && path === ROOT)) return sql<boolean>`1 = 1`;
  const single = matchers.filter(({ subtree }) => !subtree).map(({ path }) => path);
  const subtrees = matchers.filter(({ subtree }) => subtree).map(({ path }) => isWithin(path));
  return or(single.length === 0 ? subtrees : [isOneOf(single), ...subtrees]);
}

/** By halves: SQLite refuses an expression that is a thousand deep, and a chain of `or` is as deep as it is long. */
function or(conditions: readonly RawBuilder<boolean>[]): RawBuilder<boolean> {
  const [first] = conditions;
  if (first !== undefined && conditions.length === 1) return first;
  const half = conditions.length >> 1;
  return sql<boolean>`(${or(conditions.slice(0, half))} or ${or(conditions.slice(half))})`;
}
