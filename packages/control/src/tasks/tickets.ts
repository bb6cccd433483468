import { sql } from 'kysely';
import type { Dialect, Queryable } from '../database/schema.js';
import { engineOutdated } from './task-engine.js';

/** The task that a ticket is for, as it waits. */
interface Waiting {
  readonly id: string;
  readonly name: string;
  /** A ticket is good for the attempt that begins with this number, and no other. */
  readonly fence: number;
  /** Now when left out. Milliseconds since 1970. */
  readonly runAt?: number | undefined;
  readonly singleton: boolean;
}

/**
 * What tells the engine that a task waits: on Postgres a job of graphile-worker, in the same transaction. It holds nothing but which attempt of which
 * task; what the task is and whether it still waits stands in its row. On SQLite the row is all there is.
 */
export interface Tickets {
  /** Adds the ticket of a task that waits, or moves it. */
  add(trx: Queryable, task: Waiting): Promise<void>;
  /** Takes back the ticket of a task that does not wait any more. */
  remove(trx: Queryable, id: string): Promise<void>;
  /** Gives back what the engine had handed to processes that are gone. */
  unlock(trx: Queryable, pools: readonly string[]): Promise<void>;
  /** Adds the tickets that are missing, and throws away those that have been tried too often. Answers how many were missing. */
  repair(db: Queryable): Promise<number>;
}

/** What a ticket says. */
export interface TicketPayload {
  readonly task: string;
  readonly fence: number;
}

/** How often graphile-worker hands out a ticket whose task cannot even be looked up. */
const MAX_ATTEMPTS = 25;

const none: Tickets = { add: async () => undefined, remove: async () => undefined, unlock: async () => undefined, repair: async () => 0 };

const jobs: Tickets = {
  async add(trx, { id, name, fence, runAt, singleton }) {
    const payload = JSON.stringify({ task: id, fence } satisfies TicketPayload);
    const at = runAt === undefined ? sql`null` : sql`to_timestamp(cast(${runAt} as double precision) / 1000)`;
    const queue = singleton ? name : null;
    const query = sql`select id from graphile_worker.add_job(identifier => ${name}, payload => cast(${payload} as json), queue_name => ${queue},
      run_at => ${at}, max_attempts => ${MAX_ATTEMPTS}, job_key => ${id})`;
    try {
      await query.execute(trx);
    } catch (error) {
      throw isUndefined(error) ? engineOutdated(error) : error;
    }
  },
  async remove(trx, id) {
    await sql`select graphile_worker.remove_job(${id})`.execute(trx);
  },
  async unlock(trx, pools) {
    await sql`select graphile_worker.force_unlock_workers(cast(${pools} as text[]))`.execute(trx);
  },
  async repair(db) {
    await sql`select count(*) from graphile_worker.complete_jobs(array(
      select id from graphile_worker.jobs where attempts >= max_attempts and locked_at is null limit 1000))`.execute(db);
    const missing = await sql`select graphile_worker.add_job(identifier => name, payload => json_build_object('task', id, 'fence', fence),
        run_at => to_timestamp(cast(run_at as double precision) / 1000), max_attempts => ${MAX_ATTEMPTS}, job_key => id)
      from (select id, name, fence, run_at from tasks where run_at is not null
        and not exists (select 1 from graphile_worker.jobs where jobs.key = tasks.id) order by run_at, id limit 1000) as missing`.execute(db);
    return missing.rows.length;
  },
};

/** The tickets of this kind of database. */
export function ticketsFor(dialect: Dialect): Tickets {
  return dialect === 'postgres' ? jobs : none;
}

/** No such schema, or no such function in it. */
function isUndefined(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '3F000' || error.code === '42883');
}
