import { LRUCache } from 'lru-cache';

const ADDRESSES = 10_000;
const BURST = 20;
const REFILL_MS = 3_000;
const TRUSTED_MS = 600_000;

interface Record {
  /** Failures that are still held against the address; each is forgiven after `REFILL_MS`. */
  failures: number;
  since: number;
  succeeded: number;
}

/**
 * Slows down guessing of tokens, by address: after 20 failures only one more attempt is looked at every 3 seconds. An address that identified well
 * within the last ten minutes keeps its good callers, so that one broken client behind it does not lock out the others.
 * Bounded: the 10,000 addresses seen last.
 */
export class FailureThrottle {
  readonly #records = new LRUCache<string, Record>({ max: ADDRESSES });
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Seconds until the address may try again; 0 when it may now. */
  retryAfter(address: string): number {
    const record = this.#records.get(address);
    if (record === undefined) return 0;
    const failures = this.#forgiven(record);
    return failures < BURST ? 0 : Math.ceil(((failures - BURST + 1) * REFILL_MS) / 1000);
  }

  /** True when the address identified well not long ago. */
  trusted(address: string): boolean {
    const record = this.#records.get(address);
    return record !== undefined && record.succeeded > 0 && this.#now() - record.succeeded < TRUSTED_MS;
  }

  failed(address: string): void {
    const record = this.#records.get(address) ?? { failures: 0, since: 0, succeeded: 0 };
    record.failures = Math.min(this.#forgiven(record) + 1, BURST + 1);
    record.since = this.#now();
    this.#records.set(address, record);
  }

  succeeded(address: string): void {
    const record = this.#records.get(address);
    const now = this.#now();
    if (record !== undefined) record.succeeded = now;
    else this.#records.set(address, { failures: 0, since: now, succeeded: now });
  }

  #forgiven(record: Record): number {
    return Math.max(0, record.failures - Math.floor((this.#now() - record.since) / REFILL_MS));
  }
}
