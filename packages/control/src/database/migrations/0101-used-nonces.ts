import type { Migration } from '../migration.js';

/** What can be used once and has been. The primary key makes the first of two win. */
export const usedNonces: Migration = {
  number: 101,
  name: 'used-nonces',
  statements: ({ text, integer, tableEnd }) => [
    `create table used_nonces (
      issuer ${text} not null,
      nonce ${text} not null,
      expires_at ${integer} not null,
      primary key (issuer, nonce)
    )${tableEnd}`,
    'create index used_nonces_expiry on used_nonces (expires_at)',
  ],
};
