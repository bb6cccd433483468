import type { Migration } from '../migration.js';

/** An actor that is deleted keeps its row, and with it the knowledge that it is deleted, until it is purged; its external id is free at once. */
export const actors: Migration = {
  number: 100,
  name: 'actors',
  statements: ({ text, integer, tableEnd }) => [
    `create table actors (
      id ${text} primary key,
      namespace ${text} not null,
      external_id ${text} not null,
      permissions ${text} not null,
      source ${text} not null check (source in ('api', 'config', 'key_directory', 'token', 'oidc')),
      version ${integer} not null,
      token_generation ${integer} not null,
      created_at ${integer} not null,
      updated_at ${integer} not null,
      deleted_at ${integer}
    )${tableEnd}`,
    'create unique index actors_live on actors (namespace, external_id) where deleted_at is null',
    'create index actors_created on actors (created_at, id) where deleted_at is null',
    'create index actors_updated on actors (updated_at, id) where deleted_at is null',
    'create index actors_external_id on actors (external_id, id) where deleted_at is null',
    'create index actors_source on actors (source, id) where deleted_at is null',
    'create index actors_deleted on actors (namespace, external_id) where deleted_at is not null',
    'create index actors_purge on actors (deleted_at) where deleted_at is not null',
    `create table actor_keys (
      id ${text} primary key,
      actor_id ${text} not null references actors (id) on delete cascade,
      thumbprint ${text} not null,
      algorithm ${text} not null,
      jwk ${text} not null,
      name ${text},
      source ${text} not null,
      created_at ${integer} not null,
      expires_at ${integer},
      revoked_at ${integer}
    )${tableEnd}`,
    'create unique index actor_keys_thumbprint on actor_keys (actor_id, thumbprint)',
  ],
};
