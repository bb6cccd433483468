import { sql } from 'kysely';
import { columnTypes } from '../database/column-types.js';
import { type Dialect, type Queryable, withTables } from '../database/schema.js';

interface Tables {
  leases: { name: string; owner: string; fencing: number; expires_at: number };
}

/** Who has a lease: a fencing number is given to one owner only, once. */
export interface LeaseHolder {
  readonly name: string;
  readonly owner: string;
  readonly fencing: number;
}

/** Takes the lease if nobody has it. One statement, and the clock of the database, decide. Answers the new fencing number. */
export async function takeLease(db: Queryable, dialect: Dialect, name: string, owner: string, ttlMs: number): Promise<number | undefined> {
  const now = sql.raw(columnTypes(dialect).now);
  const { rows } = await sql<{ fencing: number }>`
    insert into leases (name, owner, fencing, expires_at) values (${name}, ${owner}, 1, ${now} + ${sql.lit(ttlMs)})
    on conflict (name) do update set owner = excluded.owner, fencing = leases.fencing + 1, expires_at = excluded.expires_at
    where leases.expires_at <= ${now} returning fencing`.execute(db);
  return rows[0]?.fencing;
}

/** Gives it this much longer from now. False when somebody else has taken it. */
export async function extendLease(db: Queryable, dialect: Dialect, { name, owner, fencing }: LeaseHolder, ttlMs: number): Promise<boolean> {
  const { numUpdatedRows } = await withTables<Tables>(db)
    .updateTable('leases')
    .set({ expires_at: sql<number>`${sql.raw(columnTypes(dialect).now)} + ${sql.lit(ttlMs)}` })
    .where('name', '=', name)
    .where('owner', '=', owner)
    .where('fencing', '=', fencing)
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}

/** Ends it, if it still is this holder's. */
export async function endLease(db: Queryable, { name, owner, fencing }: LeaseHolder): Promise<void> {
  await withTables<Tables>(db)
    .updateTable('leases')
    .set({ expires_at: 0 })
    .where('name', '=', name)
    .where('owner', '=', owner)
    .where('fencing', '=', fencing)
    .execute();
}

/** Whether this fencing number is the newest. On Postgres nobody can take the lease until the transaction is over; on SQLite nobody can anyway. */
export async function isNewestFencing(trx: Queryable, dialect: Dialect, { name, fencing }: LeaseHolder): Promise<boolean> {
  const query = withTables<Tables>(trx).selectFrom('leases').select('fencing').where('name', '=', name);
  const row = await (dialect === 'postgres' ? query.forShare() : query).executeTakeFirst();
  return row?.fencing === fencing;
}
