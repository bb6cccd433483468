import { type CompiledQuery, type DatabaseConnection, type Driver, SelectQueryNode, type TransactionSettings } from 'kysely';
import { transactionOf } from './statement-context.js';

/** What stands between Kysely and the driver of a database. */
export interface Guard {
  /** Identifies the database among several. */
  readonly owner: object;
  readonly onStatement: ((sql: string) => void) | undefined;
  /** Puts an error of the driver in our words. */
  readonly inOurWords: (error: unknown) => unknown;
}

interface GuardedConnection extends DatabaseConnection {
  readonly inner: DatabaseConnection;
  inTransaction: boolean;
}

/**
 * A driver whose errors are ours, that reports each statement (not the begin and end of transactions), and that waits no longer than the signal of
 * the transaction: a connection that comes later goes straight back. A statement that writes past the transaction it stands in is refused: on SQLite
 * it would wait for the transaction and the transaction for it, and on Postgres it would stay when the transaction is rolled back.
 */
export function guardDriver(driver: Driver, guard: Guard): Driver {
  async function run<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw guard.inOurWords(error);
    }
  }

  function guardConnection(inner: DatabaseConnection): GuardedConnection {
    const connection: GuardedConnection = {
      inner,
      inTransaction: false,
      executeQuery: (query) => {
        check(connection, query);
        guard.onStatement?.(query.sql);
        return run(() => inner.executeQuery(query));
      },
      streamQuery: () => {
        throw new Error('Rows are not streamed: a page of a keyset holds no connection between two reads.');
      },
    };
    return connection;
  }

  function check(connection: GuardedConnection, query: CompiledQuery): void {
    const context = transactionOf(guard.owner);
    if (context === undefined) return;
    context.signal?.throwIfAborted();
    if (!connection.inTransaction && !SelectQueryNode.is(query.query)) {
      throw new Error('A statement that writes inside a transaction has to go through that transaction.');
    }
  }

  return {
    init: () => run(() => driver.init()),
    acquireConnection: async () => guardConnection(await run(() => acquire(driver, transactionOf(guard.owner)?.signal))),
    beginTransaction: async (connection, settings: TransactionSettings) => {
      const guarded = asGuarded(connection);
      await run(() => driver.beginTransaction(guarded.inner, settings));
      guarded.inTransaction = true;
    },
    commitTransaction: async (connection) => {
      const guarded = asGuarded(connection);
      await run(() => driver.commitTransaction(guarded.inner));
      guarded.inTransaction = false;
    },
    rollbackTransaction: async (connection) => {
      const guarded = asGuarded(connection);
      guarded.inTransaction = false;
      await run(() => driver.rollbackTransaction(guarded.inner));
    },
    releaseConnection: (connection) => driver.releaseConnection(asGuarded(connection).inner),
    destroy: () => driver.destroy(),
  };
}

/** Kysely hands back what `acquireConnection` gave it. */
function asGuarded(connection: DatabaseConnection): GuardedConnection {
  return connection as GuardedConnection;
}

function acquire(driver: Driver, signal: AbortSignal | undefined): Promise<DatabaseConnection> {
  const acquired = driver.acquireConnection();
  if (signal === undefined) return acquired;
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      // Whoever waited is gone; nobody else will give this one back. When there is none, its failure has nobody to hear it.
      acquired
        .then(
          (connection) => driver.releaseConnection(connection),
          () => undefined,
        )
        .catch(() => undefined);
      reject(signal.reason);
    };
    if (signal.aborted) {
      giveUp();
      return;
    }
    signal.addEventListener('abort', giveUp, { once: true });
    acquired.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
