import type { Migration } from '../migration.js';

/** Labels of namespaces that changed and are not yet handed down to everything below: a row is there as long as something is left to do. */
export const labelCarries: Migration = {
  number: 210,
  name: 'label-carries',
  statements: ({ text, integer, tableEnd }) => [
    `create table label_carries (
      namespace ${text} primary key,
      kind ${text},
      after_position ${text},
      done ${integer} not null,
      changed ${integer} not null,
      refused ${integer} not null,
      first_refused ${text},
      requested_at ${integer} not null
    )${tableEnd}`,
    'create index label_carries_requested on label_carries (requested_at, namespace)',
  ],
};
