import type { Socket } from 'node:net';
import { ownBytes } from './direct-reads.js';

const PIPELINED_BYTES = 65_536;

/** What was read from a client and nobody takes yet: requests behind the one that is open, or a body that has no place to go. */
export class WaitingBytes {
  readonly #socket: Socket;
  #bytes: Buffer | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** True while bytes wait. */
  get some(): boolean {
    return this.#bytes !== null;
  }

  /** Keeps `chunk[start, end)`, and stops reading when that is too much: whoever is not read from cannot be seen to go. */
  keep(chunk: Buffer, start: number, end: number): void {
    this.#bytes = ownBytes(chunk, start, end);
    if (this.#bytes.length > PIPELINED_BYTES) this.#socket.pause();
  }

  /** Keeps the first `length` bytes of a read behind those that wait. Rare. */
  add(bytes: Buffer, length: number): void {
    const all = Buffer.concat([this.#bytes ?? bytes.subarray(0, 0), bytes.subarray(0, length)]);
    this.keep(all, 0, all.length);
  }

  /** Notes `chunk[start, end)` where it lies, for as long as the read it came in is dealt with. */
  note(chunk: Buffer, start: number, end: number): void {
    this.#bytes = start < end ? chunk.subarray(start, end) : null;
  }

  /** What waits, which does so no longer; null when nothing does. */
  take(): Buffer | null {
    const bytes = this.#bytes;
    this.#bytes = null;
    return bytes;
  }
}
