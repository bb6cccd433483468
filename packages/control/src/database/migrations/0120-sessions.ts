import type { Migration } from '../migration.js';

/**
 * A session is a row while it lasts. `digest` is the SHA-256 of what the browser holds, which is nowhere in the database. `ends_at` moves on with use,
 * `expires_at` does not.
 */
export const sessions: Migration = {
  number: 120,
  name: 'sessions',
  statements: ({ text, integer, tableEnd }) => [
    `create table sessions (
      id ${text} primary key,
      digest ${text} not null,
      service ${text} not null,
      actor_id ${text} not null,
      namespace ${text} not null,
      permissions ${text},
      signed_in_by ${text} not null,
      address ${text},
      user_agent ${text},
      created_at ${integer} not null,
      seen_at ${integer} not null,
      ends_at ${integer} not null,
      expires_at ${integer} not null
    )${tableEnd}`,
    'create unique index sessions_digest on sessions (digest)',
    'create index sessions_created on sessions (created_at, id)',
    'create index sessions_actor on sessions (actor_id, created_at, id)',
    'create index sessions_namespace on sessions (namespace, created_at, id)',
    'create index sessions_end on sessions (ends_at)',
  ],
};
