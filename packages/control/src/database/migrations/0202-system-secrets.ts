import type { Migration } from '../migration.js';

/** Few rows, ever. The index tells which key versions are in use. */
export const systemSecrets: Migration = {
  number: 202,
  name: 'system secrets',
  statements: ({ text, integer, tableEnd }) => [
    `create table system_secrets (
      id ${text} not null primary key,
      namespace ${text} not null,
      purpose ${text} not null,
      secret ${text} not null,
      created_at ${integer} not null
    )${tableEnd}`,
    'create index system_secrets_key_version on system_secrets (substr(secret, 8, 40), id)',
  ],
};
