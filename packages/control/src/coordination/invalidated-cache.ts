import { SallyportError } from '@sallyport/sdk';
import { LRUCache } from 'lru-cache';
import type { Bus } from './bus.js';

/**
 * Values read from the database, kept until somebody says that they have changed. A value is never kept or handed out when it was read before a
 * change that was announced while it was being read. While the bus does not listen nothing is kept: every question goes to the database.
 */
export interface InvalidatedCache<Value> {
  /** Those who ask for the same key meanwhile share one read while the bus listens. Undefined and errors are not kept. Do not change what you get: others have it too. */
  get(key: string, signal?: AbortSignal): Promise<Value | undefined>;
  /** Forgets everything and hears no more. */
  close(): void;
}

export interface InvalidatedCacheOptions<Value> {
  readonly bus: Bus;
  /** A message of this topic names the key that has changed; see {@link ALL_KEYS}. */
  readonly topic: string;
  readonly load: (key: string) => Promise<Value | undefined>;
  readonly maxEntries: number;
  /** A value is read again after this time, whatever was announced. */
  readonly maxAgeMs: number;
}

/** The message that says that anything may have changed. */
export const ALL_KEYS = '*';

/** How often a value is read again that changes while it is read. */
const MAX_READS = 10;

/** A cache in front of `load`. */
export function createInvalidatedCache<Value extends NonNullable<unknown>>(options: InvalidatedCacheOptions<Value>): InvalidatedCache<Value> {
  const { bus, topic, load, maxEntries, maxAgeMs } = options;
  const values = new LRUCache<string, Value>({ max: maxEntries, ttl: maxAgeMs });
  const reads = new Map<string, { readonly result: Promise<Value | undefined>; outdated: boolean }>();
  let closed = false;

  function drop(key: string): void {
    values.delete(key);
    const read = reads.get(key);
    if (read !== undefined) read.outdated = true;
  }

  function dropAll(): void {
    values.clear();
    for (const read of reads.values()) read.outdated = true;
  }

  const unsubscribe = bus.subscribe(topic, { message: (key) => (key === ALL_KEYS ? dropAll() : drop(key)), missed: dropAll });

  function read(key: string): Promise<Value | undefined> {
    const known = reads.get(key);
    if (known !== undefined) return known.result;
    const state = { outdated: false, result: Promise.resolve().then(readUntilCurrent) };
    reads.set(key, state);

    async function readUntilCurrent(): Promise<Value | undefined> {
      try {
        for (let count = 0; count < MAX_READS; count += 1) {
          state.outdated = false;
          const value = await load(key);
          if (state.outdated) continue;
          if (value !== undefined && bus.listening() && !closed) values.set(key, value);
          return value;
        }
      } finally {
        // In the same turn as the last look at `outdated`: nobody joins a read that is over.
        reads.delete(key);
      }
      throw new SallyportError('database_busy', { detail: 'What was asked for changes faster than it can be read.' });
    }

    return state.result;
  }

  return {
    get: async (key, signal) => {
      signal?.throwIfAborted();
      // A read that began earlier may be older than the question, and nobody would have said so.
      if (!bus.listening()) return unlessAborted(load(key), signal);
      return values.get(key) ?? unlessAborted(read(key), signal);
    },
    close: () => {
      closed = true;
      unsubscribe();
      values.clear();
    },
  };
}

/** The read goes on for the others; who gives up does not wait for it. */
function unlessAborted<Value>(result: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return result;
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
