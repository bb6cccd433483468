import type { Migration } from '../migration.js';

/**
 * Messages between processes that have to wait: all of them on SQLite, the large ones on Postgres, and those that are not in Redis yet. On SQLite
 * numbers are never used twice and have no holes, so that a reader can tell whether it has seen all.
 */
export const busMessages: Migration = {
  number: 310,
  name: 'bus-messages',
  statements: ({ dialect, text, integer, tableEnd }) => [
    `create table bus_messages (
      seq ${dialect === 'sqlite' ? 'integer primary key autoincrement' : 'bigint generated always as identity primary key'},
      message ${text} not null,
      created_at ${integer} not null
    )${tableEnd}`,
    'create index bus_messages_age on bus_messages (created_at)',
  ],
};
