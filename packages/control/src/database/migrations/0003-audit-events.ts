import type { ColumnTypes } from '../column-types.js';
import type { Migration } from '../migration.js';

export const auditEvents: Migration = {
  number: 3,
  name: 'audit-events',
  statements: (types) => [
    `create table audit_events (
      id ${types.text} primary key,
      created_at ${types.integer} not null,
      actor_id ${types.text} not null,
      action ${types.text} not null,
      resource_type ${types.text} not null,
      resource_id ${types.text} not null,
      namespace ${types.text} not null,
      request_id ${types.text},
      before ${types.text},
      after ${types.text}
    )${types.tableEnd}`,
    'create index audit_events_time on audit_events (created_at, id)',
    'create index audit_events_namespace on audit_events (namespace, created_at, id)',
    'create index audit_events_actor on audit_events (actor_id, created_at, id)',
    'create index audit_events_resource on audit_events (resource_type, resource_id, created_at, id)',
    'create index audit_events_request on audit_events (request_id) where request_id is not null',
    ...refuseUpdates(types),
  ],
};

/** What is in the trail stays as it was written, whoever has a connection. */
function refuseUpdates({ dialect }: ColumnTypes): readonly string[] {
  if (dialect === 'sqlite') {
    return [
      `create trigger audit_events_fixed before update on audit_events
       begin select raise(abort, 'the audit trail is append-only'); end`,
    ];
  }
  return [
    `create function audit_events_fixed() returns trigger language plpgsql as
     $$ begin raise exception 'the audit trail is append-only'; end $$`,
    'create trigger audit_events_fixed before update on audit_events for each row execute function audit_events_fixed()',
  ];
}
