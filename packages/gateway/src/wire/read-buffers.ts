const POISON = 0xdd;
const SPARE = 32;

/** Bytes of the buffer a connection starts each response with, and of those it streams large bodies through. */
export const SMALL_READ = 4096;
const LARGE_READ = 262_144;

/** Reads up to this size are copied when they are passed on, so that their buffer is free at once. */
export const COPY_LIMIT = 8192;

const spare: Buffer[] = [];
let poisoning = false;

/** A large read buffer: one that was given back, or a new one. Its content is whatever was read into it last. */
export function takeLargeBuffer(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(LARGE_READ);
}

/** Gives a large buffer back once nothing reads its memory any more. */
export function returnLargeBuffer(buffer: Buffer): void {
  if (poisoning) buffer.fill(POISON);
  if (spare.length < SPARE) spare.push(buffer);
}

/** Overwrites read buffers as soon as nobody should be reading them, so that tests see every use that comes too late. */
export function poisonReadBuffers(on: boolean): void {
  poisoning = on;
}

/** Called when the bytes of a read have been dealt with. */
export function bytesDealtWith(buffer: Buffer, length: number): void {
  if (poisoning) buffer.fill(POISON, 0, length);
}

/** Where bytes go on to: the part of a socket that `passOn` needs. */
export interface Destination {
  write(data: Uint8Array): boolean;
  /** True while what was written is not in the hands of the kernel, which means that its memory is still being read. */
  readonly writePending: boolean;
}

/** Where bytes come from: a reader that can leave the memory of its last read alone. */
export interface Lender {
  lend(): Buffer | null;
}

/**
 * Passes bytes of a reused read buffer on without a copy where that is safe. Small reads are copied. A large one is written where it lies; if the
 * kernel did not take it whole, its buffer is lent out until the destination has nothing left to write.
 */
export class ReadPasser {
  readonly #lent: Buffer[] = [];

  /** Writes `bytes[start, end)`. False: wait for the destination to drain. */
  pass(from: Lender, to: Destination, bytes: Buffer, start: number, end: number): boolean {
    if (this.#lent.length > 0) this.settle(to);
    const part = bytes.subarray(start, end);
    if (part.length <= COPY_LIMIT) return to.write(Buffer.from(part));
    const flowing = to.write(part);
    if (to.writePending) {
      const lent = from.lend();
      if (lent !== null) this.#lent.push(lent);
    }
    return flowing;
  }

  /** Takes lent buffers back if the destination is done with them. */
  settle(to: Destination): void {
    if (to.writePending) return;
    for (const buffer of this.#lent) returnLargeBuffer(buffer);
    this.#lent.length = 0;
  }
}
