import { SallyportError } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import type { Schema } from '../database/schema.js';
import { type AttemptsOptions, afterFailure } from './attempts.js';
import { deleteExpiredRunners, selectExpiredRunners, selectOrphans, type TasksTable, updateTask } from './task-store.js';

type SweepOptions = Pick<AttemptsOptions, 'database' | 'tickets' | 'now' | 'deadRetentionMs'>;

/**
 * Ends the leases that have run out, and puts back the tasks under them: to be run again at once, because waiting for the lease was pause enough, or
 * dead when it was their last attempt. Answers how many tasks that were. Any number of processes may do this at once.
 */
export async function sweepRunners(options: SweepOptions): Promise<number> {
  const { db, dialect } = options.database;
  // Looked up first: mostly there is nothing, and a transaction that writes would stop the others.
  const expired = await selectExpiredRunners(db, dialect).executeTakeFirst();
  if (expired === undefined && (await selectOrphans(db).executeTakeFirst()) === undefined) return 0;
  // Each change below names what it was read as, so nothing it could have overlooked is overwritten.
  return options.database.transaction((trx) => putBack(trx, options), { isolation: 'read committed' });
}

async function putBack(trx: Transaction<Schema>, options: SweepOptions): Promise<number> {
  const { database, tickets } = options;
  const pools = await deleteExpiredRunners(trx, database.dialect);
  // Before the new tickets: they take the place of the old ones, which nobody holds any more then.
  if (pools.length > 0) await tickets.unlock(trx, pools);
  let count = 0;
  for (const row of await selectOrphans(trx).execute()) {
    if (await putBackOne(trx, row, options)) count += 1;
  }
  return count;
}

async function putBackOne(trx: Transaction<Schema>, row: TasksTable, { tickets, now, deadRetentionMs }: SweepOptions): Promise<boolean> {
  const time = now();
  const change =
    row.cancel_requested_at === null
      ? afterFailure(row, new SallyportError('task_interrupted'), time, 0, deadRetentionMs)
      : {
          state: 'cancelled' as const,
          lease_owner: null,
          running_key: null,
          updated_at: time,
          finished_at: time,
          purge_after: time + deadRetentionMs,
        };
  if (!(await updateTask(trx, row, change))) return false;
  if (change.state === 'failed') await tickets.add(trx, { ...row, singleton: row.running_key !== null });
  else await tickets.remove(trx, row.id);
  return true;
}
