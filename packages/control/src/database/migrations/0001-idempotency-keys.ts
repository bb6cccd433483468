import type { Migration } from '../migration.js';

export const idempotencyKeys: Migration = {
  number: 1,
  name: 'idempotency-keys',
  statements: ({ text, integer, tableEnd }) => [
    `create table idempotency_keys (
      actor_id ${text} not null,
      key ${text} not null,
      request_digest ${text} not null,
      outcome ${text} not null,
      created_at ${integer} not null,
      expires_at ${integer} not null,
      primary key (actor_id, key)
    )${tableEnd}`,
    'create index idempotency_keys_expiry on idempotency_keys (expires_at)',
  ],
};
