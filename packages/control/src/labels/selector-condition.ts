import { type Expression, type SqlBool, sql } from 'kysely';
import type { Requirement, Selector } from './selector.js';

/**
 * The condition of a selector for the query of another domain: `where(selectorCondition('act', 'actors.id', selector))`. Holds for exactly the rows
 * that `selectorMatches` takes, on both databases; every part is answered by an index.
 */
export function selectorCondition(type: string, idColumn: string, selector: Selector): Expression<SqlBool> {
  if (selector.length === 0) return sql<SqlBool>`1 = 1`;
  return sql<SqlBool>`(${sql.join(
    selector.map((requirement) => requirementCondition(type, idColumn, requirement)),
    sql` and `,
  )})`;
}

function requirementCondition(type: string, idColumn: string, requirement: Requirement): Expression<SqlBool> {
  const id = sql.ref(idColumn);
  const labelled = sql`from resource_labels where resource_type = ${type} and key = ${requirement.key}`;
  switch (requirement.operator) {
    // Looked up row by row: as a set these would hold all resources that have the label.
    case 'exists':
      return sql`exists (select 1 ${labelled} and resource_id = ${id})`;
    case 'absent':
      return sql`not exists (select 1 ${labelled} and resource_id = ${id})`;
    case 'notin':
      return sql`not exists (select 1 ${labelled} and resource_id = ${id} and value in (${sql.join(requirement.values)}))`;
    case 'in':
      return sql`${id} in (select resource_id ${labelled} and value in (${sql.join(requirement.values)}))`;
  }
}
