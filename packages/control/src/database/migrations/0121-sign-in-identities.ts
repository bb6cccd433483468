import type { Migration } from '../migration.js';

/**
 * Which person of an identity provider is which actor. Written before the actor is made; the live row of a name is one, so that no two people come to
 * be the same actor. A row whose actor was deleted stays until it is purged with it.
 */
export const signInIdentities: Migration = {
  number: 121,
  name: 'sign-in-identities',
  statements: ({ text, integer, tableEnd }) => [
    `create table sign_in_identities (
      issuer ${text} not null,
      subject ${text} not null,
      namespace ${text} not null,
      external_id ${text} not null,
      actor_id ${text},
      created_at ${integer} not null,
      deleted_at ${integer},
      primary key (issuer, subject, namespace)
    )${tableEnd}`,
    'create unique index sign_in_identities_name on sign_in_identities (namespace, external_id) where deleted_at is null',
    'create index sign_in_identities_actor on sign_in_identities (actor_id) where actor_id is not null',
    'create index sign_in_identities_purge on sign_in_identities (deleted_at) where deleted_at is not null',
  ],
};
