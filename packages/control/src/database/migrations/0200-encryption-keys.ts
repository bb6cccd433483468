import type { Migration } from '../migration.js';

/**
 * `key_data` is an envelope under the key of the namespace above, `wrapped` a data key that the provider of its key wrapped. Neither is there once the
 * material has been destroyed; the rows stay, so that a ciphertext that turns up later can be told from a forged one.
 */
export const encryptionKeys: Migration = {
  number: 200,
  name: 'encryption-keys',
  statements: ({ text, integer, tableEnd }) => [
    `create table encryption_keys (
      id ${text} primary key,
      namespace ${text} not null,
      name ${text},
      state ${text} not null check (state in ('active', 'disabled')),
      provider ${text} not null,
      key_data ${text},
      version ${integer} not null,
      created_at ${integer} not null,
      updated_at ${integer} not null,
      deleted_at ${integer}
    )${tableEnd}`,
    'create unique index encryption_keys_live_name on encryption_keys (namespace, name) where deleted_at is null',
    'create index encryption_keys_namespace on encryption_keys (namespace, created_at, id)',
    'create index encryption_keys_name on encryption_keys (name, created_at, id) where deleted_at is null',
    'create index encryption_keys_created on encryption_keys (created_at, id) where deleted_at is null',
    'create index encryption_keys_updated on encryption_keys (updated_at, id) where deleted_at is null',
    'create index encryption_keys_state on encryption_keys (state, created_at, id) where deleted_at is null',
    'create index encryption_keys_key_data on encryption_keys (substr(key_data, 8, 40), id)',
    `create table encryption_key_versions (
      id ${text} primary key,
      key_id ${text} not null references encryption_keys (id),
      ordinal ${integer} not null,
      state ${text} not null check (state in ('active', 'retiring', 'retired')),
      wrapped ${text},
      messages ${integer} not null,
      created_at ${integer} not null,
      updated_at ${integer} not null
    )${tableEnd}`,
    'create unique index encryption_key_versions_ordinal on encryption_key_versions (key_id, ordinal)',
    "create unique index encryption_key_versions_active on encryption_key_versions (key_id) where state = 'active'",
    'create index encryption_key_versions_state on encryption_key_versions (state, id)',
    `create table namespace_encryption_keys (
      namespace ${text} primary key,
      key_id ${text} not null references encryption_keys (id),
      updated_at ${integer} not null
    )${tableEnd}`,
    'create index namespace_encryption_keys_key on namespace_encryption_keys (key_id)',
    `create table reencryption_progress (
      table_name ${text} not null,
      column_name ${text} not null,
      run ${integer} not null,
      state ${text} not null check (state in ('running', 'complete')),
      after_id ${text} not null,
      scanned ${integer} not null,
      changed ${integer} not null,
      failed ${integer} not null,
      first_failure ${text},
      started_at ${integer} not null,
      updated_at ${integer} not null,
      primary key (table_name, column_name)
    )${tableEnd}`,
  ],
};
