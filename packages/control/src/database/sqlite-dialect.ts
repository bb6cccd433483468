import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SelectQueryNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { isRetryable } from './database-error.js';
import { type Guard, guardDriver } from './guarded-driver.js';
import { pause } from './pause.js';
import { openSqliteConnection, type SqliteConnection } from './sqlite-connection.js';
import { transactionOf } from './statement-context.js';
import { createWriterQueue } from './writer-queue.js';

export interface SqliteDialectOptions {
  readonly path: string;
  readonly synchronous: 'full' | 'normal';
  /** How long a writer waits for a writer in another process before `database_busy`. */
  readonly busyTimeoutMs: number;
}

/**
 * SQLite for Kysely: one connection that writes, whose transactions begin immediately and wait in line, and one that reads what was committed last
 * and waits for nobody. A database in memory has the one connection only.
 */
export function sqliteDialect(options: SqliteDialectOptions, guard: Guard): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createDriver: () => guardDriver(sqliteDriver(options, guard), guard),
  };
}

interface Session extends DatabaseConnection {
  /** Ends this session's turn to write. There while it is in a transaction. */
  leave: (() => void) | undefined;
}

function sqliteDriver(options: SqliteDialectOptions, guard: Guard): Driver {
  const queue = createWriterQueue();
  const writer = openSqliteConnection(options);
  const reader = options.path === ':memory:' ? undefined : openSqliteConnection(options);

  async function write<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const leave = await queue.enter();
    try {
      return await whenFree(() => writer.execute<Row>(query.sql, query.parameters), options.busyTimeoutMs, undefined);
    } finally {
      leave();
    }
  }

  function session(): Session {
    const made: Session = {
      leave: undefined,
      executeQuery: async <Row>(query: CompiledQuery): Promise<QueryResult<Row>> => {
        if (made.leave !== undefined) return writer.execute<Row>(query.sql, query.parameters);
        if (reader === undefined || !SelectQueryNode.is(query.query)) return write<Row>(query);
        return whenFree(() => reader.execute<Row>(query.sql, query.parameters), options.busyTimeoutMs, undefined);
      },
      streamQuery: () => {
        throw new Error('Rows are not streamed.');
      },
    };
    return made;
  }

  return {
    init: async () => undefined,
    acquireConnection: async () => session(),
    beginTransaction: async (connection) => {
      const signal = transactionOf(guard.owner)?.signal;
      const leave = await queue.enter(signal);
      try {
        // `immediate` takes the lock now. A transaction that reads first and writes later would fail half-way when another process wrote meanwhile.
        await whenFree(() => writer.exec('begin immediate'), options.busyTimeoutMs, signal);
      } catch (error) {
        leave();
        throw error;
      }
      asSession(connection).leave = leave;
    },
    commitTransaction: async (connection) => {
      // When this fails the transaction is still open, and Kysely rolls it back.
      writer.exec('commit');
      endTurn(asSession(connection));
    },
    rollbackTransaction: async (connection) => {
      try {
        rollBack(writer);
      } finally {
        endTurn(asSession(connection));
      }
    },
    releaseConnection: async () => undefined,
    destroy: async () => {
      const leave = await queue.enter();
      reader?.close();
      // Closing does this only when no prepared statement is left, and those wait for the garbage collector.
      writer.exec('pragma wal_checkpoint(truncate)');
      writer.close();
      leave();
    },
  };
}

function asSession(connection: DatabaseConnection): Session {
  return connection as Session;
}

function endTurn(session: Session): void {
  session.leave?.();
  session.leave = undefined;
}

/** A full disk makes SQLite roll back on its own; then there is nothing left to do. */
function rollBack(writer: SqliteConnection): void {
  try {
    writer.exec('rollback');
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('no transaction is active'))) throw error;
  }
}

/** Tries again, without stopping the process, until no other process holds the lock. */
async function whenFree<Result>(work: () => Result, timeoutMs: number, signal: AbortSignal | undefined): Promise<Result> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isRetryable(error) || performance.now() >= deadline) throw error;
    }
    await pause(10, signal);
  }
}
