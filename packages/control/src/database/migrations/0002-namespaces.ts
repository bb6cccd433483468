import type { Migration } from '../migration.js';

/**
 * `path_key` is the path with a dot after it: the namespaces at and below a path are then one unbroken range of the index. A path is taken by one
 * namespace that is not deleted; what is deleted keeps its row until it is purged. A destruction that failed is due later than those that did not.
 */
export const namespaces: Migration = {
  number: 2,
  name: 'namespaces',
  statements: ({ text, integer, tableEnd, now }) => [
    `create table namespaces (
      id ${text} primary key,
      path ${text} not null,
      path_key ${text} not null,
      parent_path ${text},
      name ${text} not null,
      state ${text} not null check (state in ('active', 'destroying', 'destroyed')),
      version ${integer} not null,
      created_at ${integer} not null,
      updated_at ${integer} not null,
      deleted_at ${integer}
    )${tableEnd}`,
    'create unique index namespaces_live_path on namespaces (path_key) where deleted_at is null',
    'create index namespaces_children on namespaces (parent_path, path_key) where deleted_at is null',
    'create index namespaces_created on namespaces (created_at, id) where deleted_at is null',
    'create index namespaces_updated on namespaces (updated_at, id) where deleted_at is null',
    'create index namespaces_state on namespaces (state, path_key) where deleted_at is null',
    'create index namespaces_name on namespaces (name, path_key) where deleted_at is null',
    'create index namespaces_deleted on namespaces (deleted_at) where deleted_at is not null',
    `create table namespace_destructions (
      id ${text} primary key,
      path ${text} not null,
      path_key ${text} not null,
      actor_id ${text} not null,
      request_id ${text},
      total ${integer} not null,
      destroyed ${integer} not null,
      failures ${integer} not null,
      failure ${text},
      due_at ${integer} not null,
      created_at ${integer} not null,
      finished_at ${integer}
    )${tableEnd}`,
    'create index namespace_destructions_due on namespace_destructions (due_at, id) where finished_at is null',
    'create index namespace_destructions_open on namespace_destructions (path_key, created_at, id) where finished_at is null',
    `insert into namespaces (id, path, path_key, parent_path, name, state, version, created_at, updated_at, deleted_at)
     values ('ns_root', 'root', 'root.', null, 'root', 'active', 1, ${now}, ${now}, null)`,
  ],
};
