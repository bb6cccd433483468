import type { Migration } from '../migration.js';

/** Who may do what only one may do. A row stays when its lease ends, so that the fencing number goes on. */
export const leases: Migration = {
  number: 311,
  name: 'leases',
  statements: ({ text, integer, tableEnd }) => [
    `create table leases (
      name ${text} primary key,
      owner ${text} not null,
      fencing ${integer} not null,
      expires_at ${integer} not null
    )${tableEnd}`,
  ],
};
