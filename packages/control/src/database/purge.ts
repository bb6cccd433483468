import { sql } from 'kysely';
import type { Database } from './open-database.js';

/** Which rows are too old. The time column is indexed; rows in which it is null stay. */
export interface PurgeTarget {
  readonly table: string;
  /** The columns of the primary key. */
  readonly key: readonly [string, ...string[]];
  /** Holds milliseconds since 1970: `deleted_at`, `expires_at`, `created_at`. */
  readonly timeColumn: string;
}

export interface PurgeOptions {
  /** Rows with an earlier time go. */
  readonly before: number;
  /** Rows per transaction, so that others get their turn in between. 1000 when left out. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

/** Rows of {@link withIdempotency} that have expired. */
export const expiredIdempotencyKeys: PurgeTarget = { table: 'idempotency_keys', key: ['actor_id', 'key'], timeColumn: 'expires_at' };

/** The soft-deleted rows of a table: those with a `deleted_at`. */
export function softDeleted(table: string, key: readonly [string, ...string[]] = ['id']): PurgeTarget {
  return { table, key, timeColumn: 'deleted_at' };
}

/**
 * Deletes the rows for good, oldest first, batch by batch, and answers how many. What was done stays when it is interrupted; the next run goes on.
 */
export async function purge(database: Database, target: PurgeTarget, options: PurgeOptions): Promise<number> {
  const { before, batchSize = 1000, signal } = options;
  const table = sql.table(target.table);
  const time = sql.ref(target.timeColumn);
  const key = sql.join(target.key.map((column) => sql.ref(column)));
  for (let total = 0; ; ) {
    const deleted = await database.transaction(
      async (trx) => {
        const { numAffectedRows = 0n } = await sql`delete from ${table} where (${key}) in (
          select ${key} from ${table} where ${time} < ${before} order by ${time} limit ${batchSize})`.execute(trx);
        return Number(numAffectedRows);
      },
      signal === undefined ? {} : { signal },
    );
    total += deleted;
    if (deleted < batchSize) return total;
  }
}
