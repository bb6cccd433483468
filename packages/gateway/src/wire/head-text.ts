import type { Framing } from './framing-fields.js';
import type { StartLine } from './start-line.js';

/** Methods that are recognised without making a string. */
const COMMON_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'CONNECT', 'OPTIONS'];

const NOTHING = Buffer.alloc(0);

/**
 * The text of one message head, as offsets into the bytes it arrived in, and what is asked about it. Answers are right once the scan is complete,
 * and as long as nobody writes over the bytes.
 */
export class HeadText implements StartLine, Framing {
  bytes: Buffer = NOTHING;
  /** Where the head starts, and one past its empty line once the scan is complete. */
  start = 0;
  end = 0;
  /** The start line: of requests the method and the target, of responses the reason phrase (in place of the target). */
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  minorVersion = 1;
  /** Status code of a response. */
  statusCode = 0;
  /** Where the first field line starts. */
  fieldsStart = 0;

  /** Field lines: name, value without the white space around it, id of the name, and whether it is left out when the head is written again. */
  count = 0;
  readonly nameStart: Int32Array;
  readonly nameEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
  readonly lineEnd: Int32Array;
  readonly id: Uint16Array;
  readonly cut: Uint8Array;

  /** −1 without Content-Length. */
  contentLength = -1;
  chunked = false;
  expectsContinue = false;
  connectionClose = false;
  connectionKeepAlive = false;
  connectionUpgrade = false;
  upgradeWebSocket = false;
  /** True when Connection nominates fields beyond the options that are understood here. */
  nominatesFields = false;
  hosts = 0;

  /** What is wrong, when it is: a sentence without the bytes themselves. */
  fault = '';

  /** `count` is how many field lines there is room for. */
  constructor(count: number) {
    this.nameStart = new Int32Array(count);
    this.nameEnd = new Int32Array(count);
    this.valueStart = new Int32Array(count);
    this.valueEnd = new Int32Array(count);
    this.lineEnd = new Int32Array(count);
    this.id = new Uint16Array(count);
    this.cut = new Uint8Array(count);
  }

  /** Forgets the last message and points at the first byte of the next. */
  begin(bytes: Buffer, start: number): void {
    for (let i = 0; i < this.count; i++) {
      this.cut[i] = 0;
    }
    this.bytes = bytes;
    this.start = start;
    this.end = 0;
    this.methodStart = start;
    this.methodEnd = start;
    this.targetStart = start;
    this.targetEnd = start;
    this.minorVersion = 1;
    this.statusCode = 0;
    this.fieldsStart = start;
    this.count = 0;
    this.contentLength = -1;
    this.chunked = false;
    this.expectsContinue = false;
    this.connectionClose = false;
    this.connectionKeepAlive = false;
    this.connectionUpgrade = false;
    this.upgradeWebSocket = false;
    this.nominatesFields = false;
    this.hosts = 0;
    this.fault = '';
  }

  /** Moves a head to a buffer that holds the same bytes, and perhaps more, at `start`. */
  rebase(bytes: Buffer, start: number): void {
    const delta = start - this.start;
    this.bytes = bytes;
    this.start = start;
    this.methodStart += delta;
    this.methodEnd += delta;
    this.targetStart += delta;
    this.targetEnd += delta;
    this.fieldsStart += delta;
    for (let i = 0; i < this.count; i++) {
      this.nameStart[i] = this.nameStart[i] + delta;
      this.nameEnd[i] = this.nameEnd[i] + delta;
      this.valueStart[i] = this.valueStart[i] + delta;
      this.valueEnd[i] = this.valueEnd[i] + delta;
      this.lineEnd[i] = this.lineEnd[i] + delta;
    }
  }

  /** Moves a complete head into memory of its own: what it lies in is about to be used for something else. */
  settle(): void {
    const { bytes, start, end } = this;
    this.rebase(Buffer.from(bytes.subarray(start, end)), 0);
    this.end = end - start;
  }

  /** Lets go of the bytes, so that an idle connection holds no read buffer. */
  release(): void {
    this.bytes = NOTHING;
  }

  /** Index of the first field with this id, −1 when there is none. */
  indexOf(id: number): number {
    // A head has a dozen fields: looking through their ids is cheaper than a table that each connection would have to keep in the cache.
    for (let i = 0; i < this.count; i++) if (this.id[i] === id) return i;
    return -1;
  }

  /** The value of the first field with this id as Latin-1 text; null when there is none. */
  value(id: number): string | null {
    const index = this.indexOf(id);
    return index < 0 ? null : this.valueAt(index);
  }

  /** Whether the value of the first field with this id is exactly that Latin-1 text. Cheaper than making a string to compare. */
  valueIs(id: number, text: string): boolean {
    const index = this.indexOf(id);
    return index >= 0 && this.#textIs(text, this.valueStart[index], this.valueEnd[index]);
  }

  /** The same without giving away, by the time it takes, how much of the text was right: for tokens. */
  valueIsSecret(id: number, text: string): boolean {
    const index = this.indexOf(id);
    if (index < 0) return false;
    const start = this.valueStart[index];
    if (text.length !== this.valueEnd[index] - start) return false;
    let difference = 0;
    for (let i = 0; i < text.length; i++) difference |= this.bytes[start + i] ^ text.charCodeAt(i);
    return difference === 0;
  }

  /** Whether the target of a request is exactly that Latin-1 text. */
  targetIs(text: string): boolean {
    return this.#textIs(text, this.targetStart, this.targetEnd);
  }

  /** The value of the field line at an index, as Latin-1 text. */
  valueAt(index: number): string {
    return this.bytes.toString('latin1', this.valueStart[index], this.valueEnd[index]);
  }

  /** The name of the field line at an index, lower-case. */
  nameAt(index: number): string {
    return this.bytes.toString('latin1', this.nameStart[index], this.nameEnd[index]).toLowerCase();
  }

  /** The method of a request. */
  get method(): string {
    for (const method of COMMON_METHODS) if (this.#textIs(method, this.methodStart, this.methodEnd)) return method;
    return this.bytes.toString('latin1', this.methodStart, this.methodEnd);
  }

  /** The target of a request, as it was sent. */
  get target(): string {
    return this.bytes.toString('latin1', this.targetStart, this.targetEnd);
  }

  /** Whether the sender means to keep the connection (RFC 9112 §9.3). */
  get keepsConnection(): boolean {
    return !this.connectionClose && (this.minorVersion === 1 || this.connectionKeepAlive);
  }

  /** Leaves out every field with this id when the head is written again. */
  cutField(id: number): void {
    for (let i = 0; i < this.count; i++) if (this.id[i] === id) this.cut[i] = 1;
  }

  #textIs(text: string, start: number, end: number): boolean {
    if (text.length !== end - start) return false;
    for (let i = 0; i < text.length; i++) if (this.bytes[start + i] !== text.charCodeAt(i)) return false;
    return true;
  }
}
