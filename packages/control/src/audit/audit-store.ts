import type { SelectQueryBuilder } from 'kysely';
import type { PurgeTarget } from '../database/purge.js';
import { type Queryable, type Schema, withTables } from '../database/schema.js';
import { namespaceCondition } from '../namespaces/namespace-condition.js';
import type { NamespaceScope } from '../namespaces/namespace-matcher.js';

export interface AuditEventsTable {
  id: string;
  created_at: number;
  actor_id: string;
  action: string;
  resource_type: string;
  resource_id: string;
  namespace: string;
  request_id: string | null;
  before: string | null;
  after: string | null;
}

interface AuditTables {
  audit_events: AuditEventsTable;
}

/** Which events to read; times in milliseconds since 1970. */
export type AuditConditions = {
  readonly actor_id?: string | undefined;
  readonly action?: string | undefined;
  readonly resource_type?: string | undefined;
  readonly resource_id?: string | undefined;
  readonly request_id?: string | undefined;
  /** The first time that counts. */
  readonly since?: number | undefined;
  /** The first time that does not count any more. */
  readonly until?: number | undefined;
};

/** What is too old in the trail. */
export const oldAuditEvents: PurgeTarget = { table: 'audit_events', key: ['id'], timeColumn: 'created_at' };

export async function insertAuditEvent(db: Queryable, event: AuditEventsTable): Promise<void> {
  await withTables<AuditTables>(db).insertInto('audit_events').values(event).execute();
}

/** The events in the scope that meet all conditions, in no order yet. */
export function selectAuditEvents(
  db: Queryable,
  scope: NamespaceScope,
  conditions: AuditConditions,
): SelectQueryBuilder<Schema & AuditTables, 'audit_events', AuditEventsTable> {
  let query = withTables<AuditTables>(db).selectFrom('audit_events').selectAll().where(namespaceCondition('namespace', scope));
  for (const column of ['actor_id', 'action', 'resource_type', 'resource_id', 'request_id'] as const) {
    const value = conditions[column];
    if (value !== undefined) query = query.where(column, '=', value);
  }
  if (conditions.since !== undefined) query = query.where('created_at', '>=', conditions.since);
  if (conditions.until !== undefined) query = query.where('created_at', '<', conditions.until);
  return query;
}
