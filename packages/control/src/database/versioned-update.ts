import { SallyportError } from '@sallyport/sdk';
import { sql, type UpdateQueryBuilder, type UpdateResult } from 'kysely';

/**
 * Runs an update (which must select one row) only if the row still has the version that was read, and counts the version up. Otherwise nothing
 * changes and it rejects with `precondition_failed`.
 */
export async function updateVersion<DB, Table extends keyof DB>(
  query: UpdateQueryBuilder<DB, Table, Table, UpdateResult>,
  read: { readonly version: number },
): Promise<void> {
  const counted = query.set(sql.ref('version'), sql`${sql.ref('version')} + 1` as never).where(sql<boolean>`${sql.ref('version')} = ${read.version}`);
  const { numUpdatedRows } = await counted.executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) throw new SallyportError('precondition_failed');
}
