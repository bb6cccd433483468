import type { Dialect } from './schema.js';

/** How the two databases spell what the migrations need. */
export interface ColumnTypes {
  readonly dialect: Dialect;
  /** Text that is compared by its bytes on both, so that ranges and order are the same everywhere. JSON is kept in it too. */
  readonly text: string;
  /** 64 bits: counters, and times in milliseconds since 1970. */
  readonly integer: string;
  readonly bytes: string;
  /** What follows the closing parenthesis of `create table`: SQLite then refuses values of another type. */
  readonly tableEnd: string;
  /** The time of the database, in milliseconds since 1970. */
  readonly now: string;
}

/** The spelling of this database. */
export function columnTypes(dialect: Dialect): ColumnTypes {
  if (dialect === 'sqlite') {
    return { dialect, text: 'text', integer: 'integer', bytes: 'blob', tableEnd: ' strict', now: "cast(unixepoch('subsec') * 1000 as integer)" };
  }
  return {
    dialect,
    text: 'text collate "C"',
    integer: 'bigint',
    bytes: 'bytea',
    tableEnd: '',
    now: 'cast(extract(epoch from clock_timestamp()) * 1000 as bigint)',
  };
}
