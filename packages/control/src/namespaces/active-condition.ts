import { type RawBuilder, sql } from 'kysely';

/**
 * Rows whose `column` holds the path of a namespace that is active, for the queries of other domains: `where(inActiveNamespace('actors.namespace'))`.
 * Costs no statement of its own, only one descent into an index. From the moment that its deletion is asked for no row of a namespace is one of them.
 */
export function inActiveNamespace(column: string): RawBuilder<boolean> {
  const live = sql`path_key = ${sql.ref(column)} || '.' and state = 'active' and deleted_at is null`;
  return sql<boolean>`exists (select 1 from namespaces where ${live})`;
}
