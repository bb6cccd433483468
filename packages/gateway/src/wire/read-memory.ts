import { bytesDealtWith, type Lender, returnLargeBuffer, SMALL_READ, takeLargeBuffer } from './read-buffers.js';

/**
 * The memory that one connection reads into, used again for every read: small, large once a body fills the small one, and another one while
 * the last is lent out.
 */
export class ReadMemory implements Lender {
  readonly #small = Buffer.allocUnsafeSlow(SMALL_READ);
  #current: Buffer = this.#small;
  #lent = false;
  #filled = false;

  /** Where the next read goes; `streaming` while a body is read. */
  next(streaming: boolean): Buffer {
    const current = this.#current;
    if (this.#lent) {
      this.#lent = false;
      this.#current = streaming ? takeLargeBuffer() : this.#small;
    } else if (streaming && this.#filled && current === this.#small) this.#current = takeLargeBuffer();
    else if (!streaming && current !== this.#small) {
      returnLargeBuffer(current);
      this.#current = this.#small;
    }
    return this.#current;
  }

  /** A read has been dealt with: `length` bytes of `buffer`. */
  dealtWith(buffer: Buffer, length: number): void {
    this.#filled = length === buffer.length;
    if (!this.#lent) bytesDealtWith(buffer, length);
  }

  /** Leaves the memory of the current read alone: the answer is given back with `returnLargeBuffer` when it is free. Null when it was copied anyway. */
  lend(): Buffer | null {
    if (this.#current === this.#small || this.#lent) return null;
    this.#lent = true;
    return this.#current;
  }

  /** Nothing more will be read. */
  close(): void {
    if (this.#current === this.#small || this.#lent) return;
    returnLargeBuffer(this.#current);
    this.#current = this.#small;
  }
}
