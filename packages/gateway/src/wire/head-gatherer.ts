import type { Head } from './head.js';
import { Scan, type ScanResult } from './scan.js';

const FIRST_SIZE = 1024;

/**
 * Feeds a `Head` from bytes that arrive in pieces. A head that is whole in one read is scanned where it lies, without a copy; only a head that
 * is split over reads is gathered in an own buffer, which never grows beyond what the limit of the head allows.
 */
export class HeadGatherer {
  readonly head: Head;
  /** One past the head in the bytes of the last `feed`, once that answered `complete`. */
  consumed = 0;
  #gathered: Buffer | null = null;
  #length = 0;

  constructor(head: Head) {
    this.head = head;
  }

  /** True while a head has begun to arrive and is not complete. */
  get partial(): boolean {
    return this.#gathered !== null;
  }

  /** Scans on with `bytes[start, end)`. The offsets in `head` refer to `head.bytes`, which need not be `bytes`. */
  feed(bytes: Buffer, start: number, end: number, scan: (head: Head, end: number) => ScanResult): ScanResult {
    const { head } = this;
    if (this.#gathered === null) {
      head.begin(bytes, start);
      const result = scan(head, end);
      if (result === Scan.complete) this.consumed = head.end;
      else if (result === Scan.incomplete) this.#keep(bytes, start, end);
      return result;
    }
    const before = this.#length;
    // One byte beyond the limit is enough for the scan to see that the limit is passed.
    const taken = Math.min(end - start, head.sizeLimit + 1 - before);
    this.#append(bytes, start, start + taken);
    const result = scan(head, this.#length);
    if (result === Scan.complete) {
      this.consumed = start + (head.end - before);
      this.#gathered = null;
    }
    return result;
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    this.#gathered = this.#allocate(Math.max(FIRST_SIZE, 2 * (end - start)));
    this.#length = bytes.copy(this.#gathered, 0, start, end);
    this.head.rebase(this.#gathered, 0);
  }

  /** One byte beyond the limit is all that is ever kept. */
  #allocate(size: number): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(size, this.head.sizeLimit + 1));
  }

  #append(bytes: Buffer, start: number, end: number): void {
    let gathered = this.#gathered as Buffer;
    const needed = this.#length + end - start;
    if (needed > gathered.length) {
      const larger = this.#allocate(Math.max(needed, 2 * gathered.length));
      gathered.copy(larger, 0, 0, this.#length);
      gathered = larger;
      this.#gathered = larger;
      this.head.rebase(larger, 0);
    }
    bytes.copy(gathered, this.#length, start, end);
    this.#length = needed;
  }
}
