import { COLON, CR, fieldValue, LF, lowerToken, SPACE, TAB } from './characters.js';
import { LAST_FRAMING_FIELD, lookUpField, nextHash } from './field-names.js';
import { noteFramingField } from './framing-fields.js';
import { HeadText } from './head-text.js';
import { refuse, Scan, type ScanResult } from './scan.js';
import { scanRequestLine, scanStatusLine } from './start-line.js';

/** Bounds of one head. */
export interface HeadLimits {
  /** Bytes from the first of the start line to the last of the empty line. */
  readonly size: number;
  /** Field lines. */
  readonly count: number;
}

/**
 * One message head that is scanned (RFC 9112 §2–§7). The scanner walks over the bytes once, refuses whatever can be read in two ways and repairs
 * nothing. When bytes run out it goes on where it stopped, so that a head which trickles in costs no more than its length, and its verdict does not
 * depend on how the bytes were split. One instance serves a connection for its whole life.
 */
export class Head extends HeadText {
  readonly #limits: HeadLimits;
  #startLineDone = false;
  /** Where the field line begins that is being read, and how far into it every byte is known to be good. */
  #next = 0;
  #reached = 0;
  /** Of a field line that has begun to arrive: the hash of its name so far, and one past the name once the colon came, −1 before. */
  #hash = 0;
  #nameEnd = -1;

  constructor(limits: HeadLimits) {
    super(limits.count);
    this.#limits = limits;
  }

  /** The largest head this instance accepts, bytes. */
  get sizeLimit(): number {
    return this.#limits.size;
  }

  override begin(bytes: Buffer, start: number): void {
    super.begin(bytes, start);
    this.#startLineDone = false;
    this.#fieldsFrom(start);
  }

  override rebase(bytes: Buffer, start: number): void {
    const delta = start - this.start;
    super.rebase(bytes, start);
    this.#next += delta;
    this.#reached += delta;
    if (this.#nameEnd >= 0) this.#nameEnd += delta;
  }

  /** Scans a request head in `bytes[start, end)`; to be called again with more bytes while it answers `incomplete`. */
  scanRequest(end: number): ScanResult {
    const bound = this.#bound(end);
    if (!this.#startLineDone) {
      const result = scanRequestLine(this, bound);
      if (result !== Scan.complete) return this.#within(result, bound, end);
      this.#startLineDone = true;
      this.#fieldsFrom(this.fieldsStart);
    }
    const result = this.#fields(bound);
    if (result !== Scan.complete) return this.#within(result, bound, end);
    if (this.hosts > 1) return refuse(this, Scan.malformed, 'more than one Host field');
    if (this.hosts === 0 && this.minorVersion === 1) return refuse(this, Scan.malformed, 'no Host field in an HTTP/1.1 request');
    return Scan.complete;
  }

  /** Scans a response head. */
  scanResponse(end: number): ScanResult {
    const bound = this.#bound(end);
    if (!this.#startLineDone) {
      const result = scanStatusLine(this, bound);
      if (result !== Scan.complete) return this.#within(result, bound, end);
      this.#startLineDone = true;
      this.#fieldsFrom(this.fieldsStart);
    }
    return this.#within(this.#fields(bound), bound, end);
  }

  /** Scans a trailer section: field lines and the empty line that ends a chunked body (RFC 9112 §7.1.2). */
  scanTrailers(end: number): ScanResult {
    const bound = this.#bound(end);
    return this.#within(this.#fields(bound), bound, end);
  }

  #fieldsFrom(start: number): void {
    this.#next = start;
    this.#reached = start;
    this.#hash = 0;
    this.#nameEnd = -1;
  }

  #fields(end: number): ScanResult {
    const { bytes } = this;
    let nameStart = this.#next;
    let p = this.#reached;
    let hash = this.#hash;
    let nameEnd = this.#nameEnd;
    for (;;) {
      if (nameEnd < 0) {
        if (p >= end) return this.#stop(nameStart, p, hash, -1);
        if (p === nameStart && bytes[p] === CR) {
          if (p + 1 >= end) return this.#stop(nameStart, p, 0, -1);
          if (bytes[p + 1] !== LF) return refuse(this, Scan.malformed, 'a CR that no LF follows');
          this.end = p + 2;
          return Scan.complete;
        }
        let lower = 0;
        // biome-ignore lint/suspicious/noAssignInExpressions: one lookup a byte answers «may it be there» and «what is it in lower case»
        while (p < end && (lower = lowerToken[bytes[p]]) !== 0) {
          hash = nextHash(hash, lower);
          p++;
        }
        if (p === end) return this.#stop(nameStart, p, hash, -1);
        if (bytes[p] !== COLON || p === nameStart) return refuse(this, Scan.malformed, nameFault(bytes[p], p === nameStart));
        nameEnd = p++;
      }
      while (p < end && fieldValue[bytes[p]] !== 0) p++;
      if (p >= end) return this.#stop(nameStart, p, hash, nameEnd);
      if (bytes[p] !== CR)
        return refuse(this, Scan.malformed, bytes[p] === LF ? 'a field line ends in a bare LF' : 'a control character in a field value');
      if (p + 1 >= end) return this.#stop(nameStart, p, hash, nameEnd);
      if (bytes[p + 1] !== LF) return refuse(this, Scan.malformed, 'a CR that no LF follows');
      let valueStart = nameEnd + 1;
      while (valueStart < p && (bytes[valueStart] === SPACE || bytes[valueStart] === TAB)) valueStart++;
      let valueEnd = p;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--;
      p += 2;
      const index = this.count;
      if (index === this.#limits.count) return refuse(this, Scan.tooLarge, `more than ${this.#limits.count} header fields`);
      const id = lookUpField(bytes, nameStart, nameEnd, hash);
      this.nameStart[index] = nameStart;
      this.nameEnd[index] = nameEnd;
      this.valueStart[index] = valueStart;
      this.valueEnd[index] = valueEnd;
      this.lineEnd[index] = p;
      this.id[index] = id;
      this.count = index + 1;
      if (id !== 0 && id <= LAST_FRAMING_FIELD) {
        const result = noteFramingField(this, id, valueStart, valueEnd);
        if (result !== Scan.complete) return result;
      }
      nameStart = p;
      hash = 0;
      nameEnd = -1;
    }
  }

  /** Notes where to go on when more bytes have come. */
  #stop(lineStart: number, reached: number, hash: number, nameEnd: number): ScanResult {
    this.#next = lineStart;
    this.#reached = reached;
    this.#hash = hash;
    this.#nameEnd = nameEnd;
    return Scan.incomplete;
  }

  /** Bytes beyond the size limit are not looked at: however much of a head comes at once, it is refused for the same reason. */
  #bound(end: number): number {
    return Math.min(end, this.start + this.#limits.size);
  }

  #within(result: ScanResult, bound: number, end: number): ScanResult {
    if (result !== Scan.incomplete || bound === end) return result;
    return refuse(this, Scan.tooLarge, `the head is larger than ${this.#limits.size} bytes`);
  }
}

function nameFault(byte: number, empty: boolean): string {
  if (empty && (byte === SPACE || byte === TAB)) return 'a field line is folded over two lines';
  if (byte === SPACE || byte === TAB) return 'white space between a field name and its colon';
  if (byte === LF || byte === CR) return 'a line without a colon';
  return empty ? 'a field without a name' : 'a character in a field name that may not be there';
}
