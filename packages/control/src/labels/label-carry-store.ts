import type { Kysely } from 'kysely';
import { type Queryable, type Schema, withTables } from '../database/schema.js';

/** A row of `label_carries`: labels that are still to be handed down, and how far that is. */
export interface LabelCarryRow {
  namespace: string;
  /** The kind that is being worked through, and the last of it that was done; null at the beginning. */
  kind: string | null;
  after_position: string | null;
  done: number;
  changed: number;
  refused: number;
  first_refused: string | null;
  requested_at: number;
}

interface Tables {
  label_carries: LabelCarryRow;
}

/** What is still to be done below a namespace. */
export function findCarry(db: Queryable, namespace: string): Promise<LabelCarryRow | undefined> {
  return tables(db).selectFrom('label_carries').selectAll().where('namespace', '=', namespace).executeTakeFirst();
}

/** Namespaces below which something is still to be done, those that wait for longest first. */
export async function findCarries(db: Queryable, limit: number): Promise<readonly string[]> {
  const query = tables(db).selectFrom('label_carries').select('namespace').orderBy('requested_at').orderBy('namespace').limit(limit);
  return (await query.execute()).map(({ namespace }) => namespace);
}

/** Begins, or begins anew: what was done so far was done with labels that are old now. */
export async function beginCarry(trx: Queryable, namespace: string, now: number): Promise<void> {
  const { namespace: _, ...fresh } = newCarry(namespace, now);
  await tables(trx)
    .insertInto('label_carries')
    .values({ namespace, ...fresh })
    .onConflict((conflict) => conflict.column('namespace').doUpdateSet(fresh))
    .execute();
}

/** Begins, unless there is something under way already. */
export async function beginCarryUnlessThere(trx: Queryable, namespace: string, now: number): Promise<void> {
  const insert = tables(trx).insertInto('label_carries').values(newCarry(namespace, now));
  await insert.onConflict((conflict) => conflict.column('namespace').doNothing()).execute();
}

/** Notes how far it is, in the transaction that did it. */
export async function advanceCarry(trx: Queryable, { namespace, ...change }: LabelCarryRow): Promise<void> {
  await tables(trx).updateTable('label_carries').set(change).where('namespace', '=', namespace).execute();
}

/** Nothing is left to be done. */
export async function finishCarry(trx: Queryable, namespace: string): Promise<void> {
  await tables(trx).deleteFrom('label_carries').where('namespace', '=', namespace).execute();
}

function newCarry(namespace: string, now: number): LabelCarryRow {
  const counts = { done: 0, changed: 0, refused: 0, first_refused: null };
  return { namespace, kind: null, after_position: null, ...counts, requested_at: now };
}

function tables(db: Queryable): Kysely<Schema & Tables> {
  return withTables<Tables>(db);
}
