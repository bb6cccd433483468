import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import { deleteRunner, extendRunner, insertRunner, moveRunner } from './task-store.js';
import type { Tickets } from './tickets.js';

/**
 * The lease of one runner, which all the tasks that it runs stand under. A runner that is not heard of in time loses it to whoever looks first; its
 * tasks are then put back, and what it still has to say about them is not written any more.
 */
export interface RunnerLease {
  /** Whose tasks they are; undefined while there is no lease, and then nothing may be begun. */
  id(): string | undefined;
  /** Begins the lease, or tells it what the engine calls this process now. */
  begin(enginePool: string | null): Promise<void>;
  /** Puts its end off. False when there is none any more. */
  extend(): Promise<boolean>;
  /** Ends it. Tasks that are left under it are put back by whoever looks first. */
  end(): Promise<void>;
  /** Leaves it to run out: for tasks that do not end. */
  abandon(): void;
}

export interface RunnerLeaseOptions {
  readonly database: Database;
  readonly tickets: Tickets;
  readonly leaseMs: number;
  /** Everything that was begun under the lease has to end. Called at the latest when it runs out, even if the database cannot be reached. */
  readonly onLost: () => void;
}

export function createRunnerLease({ database, tickets, leaseMs, onLost }: RunnerLeaseOptions): RunnerLease {
  const { db, dialect } = database;
  let held: { readonly id: string; readonly timer: NodeJS.Timeout } | undefined;
  let pool: string | null | undefined;
  let beginning: Promise<void> | undefined;

  /** `from` is when the database was asked: what it granted does not last longer than that. */
  function hold(id: string, from: number): void {
    clearTimeout(held?.timer);
    held = { id, timer: setTimeout(lose, Math.max(0, from + leaseMs - performance.now())) };
  }

  function lose(): void {
    abandon();
    onLost();
  }

  function abandon(): void {
    clearTimeout(held?.timer);
    held = undefined;
  }

  async function begin(enginePool: string | null): Promise<void> {
    if (held !== undefined && pool === enginePool) return;
    // Several may find at once that there is none.
    beginning ??= beginOnce(enginePool).finally(() => {
      beginning = undefined;
    });
    await beginning;
  }

  async function beginOnce(enginePool: string | null): Promise<void> {
    const from = performance.now();
    const id = held?.id ?? newId('trn');
    await database.transaction(async (trx) => {
      if (held === undefined) await insertRunner(trx, dialect, { id, enginePool, leaseMs });
      else await moveRunner(trx, id, enginePool);
      // What the engine had handed to this process before it was started anew, nobody works on.
      if (pool !== undefined && pool !== null && pool !== enginePool) await tickets.unlock(trx, [pool]);
    });
    pool = enginePool;
    if (held === undefined) hold(id, from);
  }

  async function extend(): Promise<boolean> {
    const id = held?.id;
    if (id === undefined) return false;
    const from = performance.now();
    const extended = await extendRunner(db, dialect, id, leaseMs);
    // It may have run out while the database was asked.
    if (held?.id !== id) return false;
    if (extended) hold(id, from);
    else lose();
    return extended;
  }

  async function end(): Promise<void> {
    const id = held?.id;
    abandon();
    if (id !== undefined) await deleteRunner(db, id);
  }

  return { id: () => held?.id, begin, extend, end, abandon };
}
