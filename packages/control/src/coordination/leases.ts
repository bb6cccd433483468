import { randomUUID } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import type { Database } from '../database/open-database.js';
import type { Schema } from '../database/schema.js';
import { endLease, extendLease, isNewestFencing, type LeaseHolder, takeLease } from './lease-store.js';

/**
 * The right to do alone what a name stands for. Two holders can overlap when a process sleeps or a clock jumps; {@link Lease.requireHeld} and the
 * fencing number make what the former one then writes fail.
 */
export interface Lease {
  /** Higher than that of every earlier holder of the name. */
  readonly fencing: number;
  /** Aborts when the lease is lost, released or not renewed in time, counted from before it was asked for. */
  readonly signal: AbortSignal;
  /** Begins the time anew. Rejects with `lease_lost` when it is over; other errors leave the lease as it was. */
  renew(): Promise<void>;
  /** Lets the next one have it at once. Harmless when it is lost already. */
  release(): Promise<void>;
  /** Rejects with `lease_lost` unless no later holder has begun; none begins before the transaction is over. */
  requireHeld(trx: Transaction<Schema>): Promise<void>;
}

interface LeaseOptions {
  /** How long the lease lasts without a renewal. Renew at a third of it. */
  readonly ttlMs: number;
  /** Ends the lease when it aborts. */
  readonly signal?: AbortSignal;
}

/** One holder at a time for each name, among all processes on the database. */
export interface Leases {
  /** Undefined when somebody else has it. Does not wait. */
  acquire(name: string, options: LeaseOptions): Promise<Lease | undefined>;
}

const MAX_TTL_MS = 24 * 60 * 60 * 1000;

/** The leases in this database. */
export function createLeases({ database }: { readonly database: Database }): Leases {
  const { db, dialect } = database;

  async function acquire(name: string, { ttlMs, signal }: LeaseOptions): Promise<Lease | undefined> {
    if (!Number.isInteger(ttlMs) || ttlMs < 1 || ttlMs > MAX_TTL_MS) throw new RangeError('A lease lasts 1 ms to one day.');
    signal?.throwIfAborted();
    const owner = randomUUID();
    const asked = performance.now();
    // A transaction, because it can wait for another process's on SQLite; without a snapshot, because it has to see the row as it is.
    const fencing = await database.transaction((trx) => takeLease(trx, dialect, name, owner, ttlMs), {
      isolation: 'read committed',
      ...(signal === undefined ? {} : { signal }),
    });
    if (fencing === undefined) return undefined;
    const lease = hold({ name, owner, fencing }, ttlMs, asked);
    if (signal?.aborted === true) await lease.release();
    signal?.throwIfAborted();
    const giveUp = (): void => {
      // It ends by itself when the database does not hear of it.
      lease.release().catch(() => undefined);
    };
    signal?.addEventListener('abort', giveUp, { once: true, signal: lease.signal });
    return lease;
  }

  function hold(holder: LeaseHolder, ttlMs: number, asked: number): Lease {
    const held = new AbortController();
    let timer = endAt(asked + ttlMs);

    function endAt(time: number): NodeJS.Timeout {
      return setTimeout(lose, Math.max(0, time - performance.now())).unref();
    }

    function lose(): void {
      clearTimeout(timer);
      held.abort(new SallyportError('lease_lost'));
    }

    return {
      fencing: holder.fencing,
      signal: held.signal,
      renew: async () => {
        held.signal.throwIfAborted();
        // The time counts from before the database heard of it, so that it is over here first.
        const began = performance.now();
        if (!(await extendLease(db, dialect, holder, ttlMs))) lose();
        held.signal.throwIfAborted();
        clearTimeout(timer);
        timer = endAt(began + ttlMs);
      },
      release: async () => {
        lose();
        await endLease(db, holder);
      },
      requireHeld: async (trx) => {
        if (!(await isNewestFencing(trx, dialect, holder))) throw new SallyportError('lease_lost');
      },
    };
  }

  return { acquire };
}
