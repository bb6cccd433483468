import type { TokenRecord } from '../stores/token-store.js';
import { NEVER, pause } from './bounded.js';
import type { TokenKeeper } from './token-keeper.js';

/** A lease that was taken, and with it the journal entry that says that the outcome of a call is unknown. */
export interface Held {
  /** As it is stored, lease and journal in it. */
  readonly record: TokenRecord;
  /** What the journal said before: a call whose outcome nobody knows, milliseconds since the epoch, or null. */
  readonly unknownBefore: number | null;
  /** When the lease began at the latest, by `performance.now`. */
  readonly since: number;
}

export interface LeaseOptions {
  readonly keeper: TokenKeeper;
  /** Begins every owner name of this process: leases of it are left over from a refresh that is finished. */
  readonly ownPrefix: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
}

/** Takes a lease for an owner, for so many milliseconds. */
export type TakeLease = (key: string, owner: string, lifeMs: number, signal: AbortSignal) => Promise<Held>;

/** The clocks of machines that share a store may differ by this much. */
const CLOCK_TOLERANCE_MS = 5_000;
/** A lease that was seen for so long, by our own clock, belongs to nobody any more, whatever the clock of its owner says. */
const WATCH_LIMIT_MS = 120_000;
const WATCHED_LIMIT = 10_000;
const WAIT_FIRST_MS = 50;
const WAIT_LAST_MS = 1_000;

/**
 * A function that waits until nobody else refreshes, and takes the lease by compare-and-set, journal and lease in the same write. What a sibling stored
 * in the meantime is adopted, since every attempt reads anew. It waits with back-off and jitter until its signal aborts.
 */
export function leaseTaker({ keeper, ownPrefix, now, random }: LeaseOptions): TakeLease {
  const watched = new Map<string, { readonly owner: string; readonly since: number }>();

  function isOver({ lease }: TokenRecord, key: string): boolean {
    if (lease === null || lease.owner.startsWith(ownPrefix) || now() > lease.expiresAt + CLOCK_TOLERANCE_MS) return true;
    const seen = watched.get(key);
    if (seen?.owner === lease.owner) return performance.now() - seen.since > WATCH_LIMIT_MS;
    // Forgetting only makes the wait longer.
    if (watched.size >= WATCHED_LIMIT) watched.clear();
    watched.set(key, { owner: lease.owner, since: performance.now() });
    return false;
  }

  return async (key, owner, lifeMs, signal) => {
    for (let wait = WAIT_FIRST_MS; ; wait = Math.min(wait * 2, WAIT_LAST_MS)) {
      const reading = await keeper.read(key, signal);
      if (isOver(reading.record, key)) {
        const unknownBefore = reading.record.unknownSince;
        const record = { ...reading.record, lease: { owner, expiresAt: now() + lifeMs }, unknownSince: unknownBefore ?? now() };
        const since = performance.now();
        // Not to be aborted by the caller: a write that nobody waits for may still succeed, and the lease would stand until it ends.
        const won = await keeper.replace(key, reading, record, NEVER);
        if (won !== null) {
          watched.delete(key);
          return { record: won.record, unknownBefore, since };
        }
      }
      await pause(wait * (0.5 + random() / 2), signal);
    }
  };
}
