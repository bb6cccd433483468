import type { Secret } from '@sallyport/sdk';
import { Kysely, type Transaction } from 'kysely';
import { fromPostgresError, fromSqliteError, isRetryable } from './database-error.js';
import type { Guard } from './guarded-driver.js';
import { pause } from './pause.js';
import { postgresDialect } from './postgres-dialect.js';
import type { Dialect, Schema } from './schema.js';
import { sqliteDialect } from './sqlite-dialect.js';
import { type Companion, companionOf, insideTransaction, transactionOf, withCompanion } from './statement-context.js';

/** Which database, and how to get at it. */
export type DatabaseOptions = SqliteOptions | PostgresOptions;

interface CommonOptions {
  /** Hears the text of each statement, without its values. */
  readonly onStatement?: (sql: string) => void;
}

export interface SqliteOptions extends CommonOptions {
  readonly provider: 'sqlite';
  /** A file, made readable for its owner only when it is not there; or `:memory:`. */
  readonly path: string;
  /** `full` (the default): what was committed survives a power cut. `normal`: faster, and the last moments may be lost in one. */
  readonly synchronous?: 'full' | 'normal';
  /** How long a writer waits for one in another process before `database_busy`. 5 s when left out. */
  readonly busyTimeoutMs?: number;
}

export interface PostgresOptions extends CommonOptions {
  readonly provider: 'postgres';
  /** `postgres://user:password@host:port/database`. Appears in no error. */
  readonly url: string | Secret;
  /** 10 when left out. */
  readonly maxConnections?: number;
  /** How long to wait for a connection before `database_unavailable`. 10 s when left out. */
  readonly connectTimeoutMs?: number;
  /** Postgres ends a statement that takes longer. 30 s when left out. */
  readonly statementTimeoutMs?: number;
}

interface TransactionOptions {
  /** Ends the wait for the turn and, before the commit, the transaction: nothing of it stays. */
  readonly signal?: AbortSignal;
  /** `serializable` (the default) holds on both databases what SQLite always holds. `read committed` is for work under a lock of its own. */
  readonly isolation?: 'serializable' | 'read committed';
}

/** An open database. */
export interface Database {
  readonly db: Kysely<Schema>;
  readonly dialect: Dialect;
  /**
   * All of `work` or nothing. On Postgres `work` runs again when it lost against another transaction, so it may touch nothing but the database; when
   * that has happened too often: `database_busy`. Inside it, every statement that writes has to go through the transaction it is given. A statement
   * that fails ends a transaction of Postgres, even when `work` catches the error.
   */
  transaction<Result>(work: (trx: Transaction<Schema>) => Promise<Result>, options?: TransactionOptions): Promise<Result>;
  /**
   * Runs `work`; what `join` writes is part of the first transaction that `work` commits, so both are there or neither. `joined` is false when there
   * was none. A `join` that fails fails that transaction.
   */
  accompanied<Result>(
    join: (trx: Transaction<Schema>) => Promise<void>,
    work: () => Promise<Result>,
  ): Promise<{ readonly result: Result; readonly joined: boolean }>;
  /** Waits for the transaction that is under way. */
  close(): Promise<void>;
}

const ATTEMPTS = 12;

/** Opens the database. Makes no table: see `migrate` and `requireKnownSchema`. */
export function openDatabase(options: DatabaseOptions): Database {
  const owner = {};
  const dialect = options.provider;
  const guard: Guard = { owner, onStatement: options.onStatement, inOurWords: dialect === 'sqlite' ? fromSqliteError : fromPostgresError };
  const db = new Kysely<Schema>({ dialect: options.provider === 'sqlite' ? openSqlite(options, guard) : openPostgres(options, guard) });

  async function once<Result>(work: (trx: Transaction<Schema>) => Promise<Result>, { signal, isolation }: TransactionOptions): Promise<Result> {
    const companion = companionOf(owner);
    const builder = dialect === 'sqlite' ? db.transaction() : db.transaction().setIsolationLevel(isolation ?? 'serializable');
    const done = await insideTransaction(owner, signal, () =>
      builder.execute(async (trx) => {
        await companion?.join(trx);
        const result = await work(trx);
        signal?.throwIfAborted();
        return result;
      }),
    );
    if (companion !== undefined) companion.joined = true;
    return done;
  }

  async function accompanied<Result>(join: Companion['join'], work: () => Promise<Result>): Promise<{ result: Result; joined: boolean }> {
    const companion: Companion = { owner, join, joined: false };
    const result = await withCompanion(companion, work);
    return { result, joined: companion.joined };
  }

  async function transaction<Result>(work: (trx: Transaction<Schema>) => Promise<Result>, given: TransactionOptions = {}): Promise<Result> {
    if (transactionOf(owner) !== undefined) throw new Error('A transaction cannot begin inside another one: hand the one on that is there.');
    for (let attempt = 1; ; attempt += 1) {
      given.signal?.throwIfAborted();
      try {
        return await once(work, given);
      } catch (error) {
        // On SQLite the wait for the lock has been long already, and one that has the lock does not lose it.
        if (dialect === 'sqlite' || !isRetryable(error) || attempt >= ATTEMPTS) throw error;
      }
      await pause(Math.min(2 ** attempt, 200), given.signal);
    }
  }

  return { db, dialect, transaction, accompanied, close: () => db.destroy() };
}

function openSqlite(options: SqliteOptions, guard: Guard): ReturnType<typeof sqliteDialect> {
  const { path, synchronous = 'full', busyTimeoutMs = 5_000 } = options;
  return sqliteDialect({ path, synchronous, busyTimeoutMs }, guard);
}

function openPostgres(options: PostgresOptions, guard: Guard): ReturnType<typeof postgresDialect> {
  const { url, maxConnections = 10, connectTimeoutMs = 10_000, statementTimeoutMs = 30_000 } = options;
  return postgresDialect({ url, maxConnections, connectTimeoutMs, statementTimeoutMs }, guard);
}
