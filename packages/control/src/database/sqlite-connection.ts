import { closeSync, mkdirSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { QueryResult } from 'kysely';
import { LRUCache } from 'lru-cache';
import { fromSqliteError } from './database-error.js';

/** The part of `node:sqlite` that is used. The types of Node.js 20 do not have it yet. */
interface DatabaseSync {
  prepare(sql: string): StatementSync;
  exec(sql: string): void;
  close(): void;
}

interface StatementSync {
  all(...parameters: unknown[]): unknown[];
  run(...parameters: unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  columns(): readonly unknown[];
}

interface SqliteModule {
  readonly DatabaseSync: new (path: string) => DatabaseSync;
  readonly StatementSync: { readonly prototype: object };
}

/** One connection to an SQLite file. Everything on it is synchronous; errors come in our words. */
export interface SqliteConnection {
  execute<Row>(sql: string, parameters: readonly unknown[]): QueryResult<Row>;
  exec(sql: string): void;
  close(): void;
}

export interface SqliteConnectionOptions {
  /** A file, or `:memory:`. */
  readonly path: string;
  /**
   * `full`: what was committed survives a power cut. `normal`: it survives the death of the process, and the last moments may be lost in a power
   * cut.
   */
  readonly synchronous: 'full' | 'normal';
}

/** Kysely prepares each query anew, and a prepared statement costs a kilobyte or two that the garbage collector does not see. */
const PREPARED_STATEMENTS = 256;

/**
 * How long one call may wait for a lock that another process holds. The wait stops this whole process, so it is short; whoever has time left tries
 * again later.
 */
const BLOCKING_WAIT_MS = 20;

/** `node:sqlite` where Node.js has it with all that is used here (22.16), and the driver with the same API and prebuilt binaries where not. */
function sqliteModule(): SqliteModule {
  const builtIn = process.getBuiltinModule('node:sqlite') as unknown as SqliteModule | undefined;
  if (builtIn !== undefined && 'columns' in builtIn.StatementSync.prototype) return builtIn;
  return createRequire(import.meta.url)('@photostructure/sqlite') as SqliteModule;
}

/**
 * Opens the file, and makes it (readable for its owner only) when it is not there: write-ahead log, foreign keys on, and nothing in the file can
 * call a function of the process.
 */
export function openSqliteConnection(options: SqliteConnectionOptions): SqliteConnection {
  const { path, synchronous } = options;
  if (path !== ':memory:') createPrivately(path);
  const { DatabaseSync } = sqliteModule();
  const database = inOurWords(() => new DatabaseSync(path));
  const statements = new LRUCache<string, { statement: StatementSync; returnsRows: boolean }>({ max: PREPARED_STATEMENTS });

  function prepared(sql: string): { statement: StatementSync; returnsRows: boolean } {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const statement = database.prepare(sql);
    const made = { statement, returnsRows: statement.columns().length > 0 };
    statements.set(sql, made);
    return made;
  }

  function execute<Row>(sql: string, parameters: readonly unknown[]): QueryResult<Row> {
    return inOurWords(() => {
      const { statement, returnsRows } = prepared(sql);
      const values = parameters.map(asSqliteValue);
      // Rows come without a prototype from the driver; a spread gives them an ordinary one, as rows of Postgres have.
      if (returnsRows) return { rows: statement.all(...values).map((row) => ({ ...(row as Row) })) };
      const { changes, lastInsertRowid } = statement.run(...values);
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
    });
  }

  const connection: SqliteConnection = { execute, exec: (sql) => inOurWords(() => database.exec(sql)), close: () => database.close() };
  // First, because changing to the write-ahead log may have to wait for another process that does the same.
  connection.exec('pragma busy_timeout = 5000');
  connection.exec('pragma journal_mode = wal');
  connection.exec(`pragma synchronous = ${synchronous}`);
  connection.exec('pragma foreign_keys = on');
  connection.exec('pragma trusted_schema = off');
  connection.exec(`pragma busy_timeout = ${BLOCKING_WAIT_MS}`);
  return connection;
}

function inOurWords<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw fromSqliteError(error);
  }
}

/** SQLite gives its log and index files the rights of the database file. */
function createPrivately(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

function asSqliteValue(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value === undefined ? null : value;
}
