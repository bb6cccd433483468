import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  bytesDealtWith,
  COPY_LIMIT,
  type Destination,
  type Lender,
  poisonReadBuffers,
  ReadPasser,
  returnLargeBuffer,
  takeLargeBuffer,
} from './read-buffers.js';

/** A destination that the test empties when it wants to, and which reads the memory it was given only then, as the kernel does. */
class SlowDestination implements Destination {
  readonly pending: Uint8Array[] = [];
  taken = '';
  full = false;

  write(data: Uint8Array): boolean {
    this.pending.push(data);
    if (!this.full) this.empty();
    return !this.full;
  }

  get writePending(): boolean {
    return this.pending.length > 0;
  }

  empty(): void {
    for (const piece of this.pending.splice(0)) this.taken += Buffer.from(piece).toString('latin1');
  }
}

/** A reader with one buffer at a time, which it can lend once. */
class OneReader implements Lender {
  buffer = takeLargeBuffer();
  lent = 0;
  #out = false;

  lend(): Buffer | null {
    if (this.#out) return null;
    this.#out = true;
    this.lent++;
    return this.buffer;
  }

  /** Reads text of a length as a socket does: into the buffer it has, unless that is lent out. */
  read(letter: string, length: number): Buffer {
    if (this.#out) this.buffer = takeLargeBuffer();
    this.#out = false;
    this.buffer.fill(letter, 0, length);
    return this.buffer;
  }

  dealtWith(length: number): void {
    if (!this.#out) bytesDealtWith(this.buffer, length);
  }
}

beforeEach(() => poisonReadBuffers(true));
afterEach(() => poisonReadBuffers(true));

describe('large buffers', () => {
  test('one that is given back is handed out again, overwritten', () => {
    const buffer = takeLargeBuffer();
    expect(buffer.length).toBeGreaterThan(COPY_LIMIT);
    buffer.fill('secret');
    returnLargeBuffer(buffer);
    expect(takeLargeBuffer()).toBe(buffer);
    expect(buffer.includes('secret')).toBe(false);
  });

  test('only so many are kept', () => {
    const many = Array.from({ length: 40 }, () => takeLargeBuffer());
    for (const buffer of many) returnLargeBuffer(buffer);
    const again = new Set(Array.from({ length: 40 }, () => takeLargeBuffer()));
    expect(many.filter((buffer) => again.has(buffer))).toHaveLength(32);
  });

  test('without poison the bytes stay', () => {
    poisonReadBuffers(false);
    const buffer = Buffer.from('bytes');
    bytesDealtWith(buffer, 5);
    expect(buffer.toString()).toBe('bytes');
    poisonReadBuffers(true);
    bytesDealtWith(buffer, 3);
    expect(buffer.toString('latin1')).toBe('\xdd\xdd\xddes');
  });
});

describe('passing reads on', () => {
  test('a small one is copied: its buffer is free at once', () => {
    const [reader, to, passer] = [new OneReader(), new SlowDestination(), new ReadPasser()];
    to.full = true;
    expect(passer.pass(reader, to, reader.read('a', COPY_LIMIT), 0, COPY_LIMIT)).toBe(false);
    reader.dealtWith(COPY_LIMIT);
    expect(reader.lent).toBe(0);
    to.empty();
    expect(to.taken).toBe('a'.repeat(COPY_LIMIT));
  });

  test('a large one that is taken at once is not lent', () => {
    const [reader, to, passer] = [new OneReader(), new SlowDestination(), new ReadPasser()];
    expect(passer.pass(reader, to, reader.read('b', 100_000), 10, 100_000)).toBe(true);
    reader.dealtWith(100_000);
    expect([reader.lent, to.taken]).toEqual([0, 'b'.repeat(99_990)]);
  });

  test('a large one that waits is lent, and given back once when it has left', () => {
    const [reader, to, passer] = [new OneReader(), new SlowDestination(), new ReadPasser()];
    to.full = true;
    const first = reader.read('c', 100_000);
    passer.pass(reader, to, first, 0, 100_000);
    reader.dealtWith(100_000);
    const second = reader.read('d', 100_000);
    expect(second).not.toBe(first);
    passer.pass(reader, to, second, 0, 100_000);
    reader.dealtWith(100_000);
    expect(reader.lent).toBe(2);
    passer.settle(to);
    expect(takeLargeBuffer(), 'not while they are being written').not.toBe(first);
    to.empty();
    passer.settle(to);
    passer.settle(to);
    expect(to.taken).toBe('c'.repeat(100_000) + 'd'.repeat(100_000));
    const back = [takeLargeBuffer(), takeLargeBuffer(), takeLargeBuffer()];
    expect(back.filter((buffer) => buffer === first)).toHaveLength(1);
    expect(back.filter((buffer) => buffer === second)).toHaveLength(1);
  });

  test('several parts of one read lend its buffer once', () => {
    const [reader, to, passer] = [new OneReader(), new SlowDestination(), new ReadPasser()];
    to.full = true;
    const buffer = reader.read('e', 200_000);
    passer.pass(reader, to, buffer, 0, 90_000);
    passer.pass(reader, to, buffer, 100_000, 200_000);
    reader.dealtWith(200_000);
    expect(reader.lent).toBe(1);
    to.empty();
    expect(to.taken).toBe('e'.repeat(190_000));
    passer.settle(to);
    const back = [takeLargeBuffer(), takeLargeBuffer()];
    expect(back.filter((each) => each === buffer)).toHaveLength(1);
  });

  test('the next read gives back what has left meanwhile', () => {
    const [reader, to, passer] = [new OneReader(), new SlowDestination(), new ReadPasser()];
    to.full = true;
    const first = reader.read('f', 100_000);
    passer.pass(reader, to, first, 0, 100_000);
    const second = reader.read('g', 100_000);
    to.full = false;
    to.empty();
    passer.pass(reader, to, second, 0, 100_000);
    expect(to.taken).toBe('f'.repeat(100_000) + 'g'.repeat(100_000));
    expect(takeLargeBuffer()).toBe(first);
  });
});
