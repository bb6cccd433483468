import { COLON, CR, fieldValue, LF, lowerToken, SPACE, TAB, targetByte } from './characters.js';
import { Field, LAST_FRAMING_FIELD, lookUpField, nextHash } from './field-names.js';

/** What a scan found. Everything above `incomplete` is a refusal, with the sentence in `Head.fault`. */
export const Scan = { complete: 0, incomplete: 1, malformed: 2, ambiguous: 3, tooLarge: 4, versionUnsupported: 5 } as const;
export type ScanResult = (typeof Scan)[keyof typeof Scan];

/** Bounds of one head. */
export interface HeadLimits {
  /** Bytes from the first of the start line to the last of the empty line. */
  readonly size: number;
  /** Field lines. */
  readonly count: number;
}

const METHOD_LENGTH = 32;
const LONGEST_LENGTH = 15;
const HTTP_1 = Buffer.from('HTTP/1.', 'latin1');
/** Where in that the major version stands. */
const MAJOR = 5;
const CHUNKED = Buffer.from('chunked', 'latin1');
const HUNDRED_CONTINUE = Buffer.from('100-continue', 'latin1');
const CLOSE = Buffer.from('close', 'latin1');
const KEEP_ALIVE = Buffer.from('keep-alive', 'latin1');
const UPGRADE = Buffer.from('upgrade', 'latin1');
const WEBSOCKET = Buffer.from('websocket', 'latin1');

/** Methods that are recognised without making a string. */
const COMMON_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'CONNECT', 'OPTIONS'];

/**
 * One message head, as offsets into the bytes it arrived in (RFC 9112 §2–§7). The scanner walks over the bytes once, refuses whatever
 * can be read in two ways and repairs nothing. When bytes run out it goes on where it stopped, so that a head which trickles in costs
 * no more than its length, and its verdict does not depend on how the bytes were split. One instance serves a connection for its whole life.
 */
export class Head {
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

  readonly #limits: HeadLimits;
  /** Where the line begins that is being read, and how far into it every byte is known to be good. */
  #next = 0;
  #reached = 0;
  /** Of a field line that has begun to arrive: the hash of its name so far, and one past the name once the colon came, −1 before. */
  #hash = 0;
  #nameEnd = -1;
  #startLineDone = false;
  #versionResult: ScanResult = Scan.incomplete;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    this.nameStart = new Int32Array(limits.count);
    this.nameEnd = new Int32Array(limits.count);
    this.valueStart = new Int32Array(limits.count);
    this.valueEnd = new Int32Array(limits.count);
    this.lineEnd = new Int32Array(limits.count);
    this.id = new Uint16Array(limits.count);
    this.cut = new Uint8Array(limits.count);
  }

  /** The largest head this instance accepts, bytes. */
  get sizeLimit(): number {
    return this.#limits.size;
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
    this.#next = start;
    this.#reached = start;
    this.#hash = 0;
    this.#nameEnd = -1;
    this.#startLineDone = false;
  }

  /** Moves a half-scanned head to a buffer that holds the same bytes, and more, at `start`. */
  rebase(bytes: Buffer, start: number): void {
    const delta = start - this.start;
    this.bytes = bytes;
    this.start = start;
    this.#next += delta;
    this.#reached += delta;
    if (this.#nameEnd >= 0) this.#nameEnd += delta;
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

  /** Scans a request head in `bytes[start, end)`; to be called again with more bytes while it answers `incomplete`. */
  scanRequest(end: number): ScanResult {
    const bound = this.#bound(end);
    if (!this.#startLineDone) {
      const result = this.#requestLine(bound);
      if (result !== Scan.complete) return this.#within(result, bound, end);
    }
    const result = this.#fields(bound);
    if (result !== Scan.complete) return this.#within(result, bound, end);
    if (this.hosts > 1) return this.#refuse(Scan.malformed, 'more than one Host field');
    if (this.hosts === 0 && this.minorVersion === 1) return this.#refuse(Scan.malformed, 'no Host field in an HTTP/1.1 request');
    return Scan.complete;
  }

  /** Scans a response head. */
  scanResponse(end: number): ScanResult {
    const bound = this.#bound(end);
    if (!this.#startLineDone) {
      const result = this.#statusLine(bound);
      if (result !== Scan.complete) return this.#within(result, bound, end);
    }
    return this.#within(this.#fields(bound), bound, end);
  }

  /** Scans a trailer section: field lines and the empty line that ends a chunked body (RFC 9112 §7.1.2). */
  scanTrailers(end: number): ScanResult {
    const bound = this.#bound(end);
    this.#startLineDone = true;
    return this.#within(this.#fields(bound), bound, end);
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
    for (const method of COMMON_METHODS) if (this.#textIs(method, this.start, this.methodEnd)) return method;
    return this.bytes.toString('latin1', this.methodStart, this.methodEnd);
  }

  /** The target of a request, as it was sent. */
  get target(): string {
    return this.bytes.toString('latin1', this.targetStart, this.targetEnd);
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

  #requestLine(end: number): ScanResult {
    const { bytes } = this;
    let p = this.start;
    if (p < end && bytes[p] === CR) {
      // One empty line in front is passed over (RFC 9112 §2.2): some clients send one after the body of a POST.
      if (p + 1 >= end) return Scan.incomplete;
      if (bytes[p + 1] !== LF) return this.#refuse(Scan.malformed, 'a CR that no LF follows');
      p += 2;
    }
    const methodStart = p;
    while (p < end && lowerToken[bytes[p]] !== 0) p++;
    if (p - methodStart > METHOD_LENGTH) return this.#refuse(Scan.malformed, 'the method is longer than 32 bytes');
    if (p === end) return Scan.incomplete;
    if (p === methodStart || bytes[p] !== SPACE) return this.#refuse(Scan.malformed, 'the request line does not start with a method and one space');
    this.methodStart = methodStart;
    this.methodEnd = p++;
    this.targetStart = p;
    if (this.#reached > p) p = this.#reached;
    while (p < end && targetByte[bytes[p]] !== 0) p++;
    if (p === end) {
      this.#reached = p;
      return Scan.incomplete;
    }
    if (p === this.targetStart || bytes[p] !== SPACE)
      return this.#refuse(Scan.malformed, 'the request target is empty or holds a byte that it may not');
    this.targetEnd = p++;
    const versionEnd = this.#version(p, end);
    return versionEnd < 0 ? this.#versionResult : this.#endOfStartLine(versionEnd, end);
  }

  #statusLine(end: number): ScanResult {
    const { bytes } = this;
    let p = this.#version(this.start, end);
    if (p < 0) return this.#versionResult === Scan.incomplete ? Scan.incomplete : Scan.malformed;
    if (p >= end) return Scan.incomplete;
    if (bytes[p] !== SPACE) return this.#refuse(Scan.malformed, 'no space before the status code');
    let code = 0;
    for (const codeEnd = p + 4; ++p < codeEnd; ) {
      if (p >= end) return Scan.incomplete;
      const digit = bytes[p] - 0x30;
      if (digit < 0 || digit > 9) return this.#refuse(Scan.malformed, 'the status code is not three digits');
      code = code * 10 + digit;
    }
    if (code < 100) return this.#refuse(Scan.malformed, 'the status code is below 100');
    this.statusCode = code;
    if (p >= end) return Scan.incomplete;
    // Servers that leave out the space before an empty reason phrase are common, and nothing can be misread.
    if (bytes[p] === SPACE) p++;
    else if (bytes[p] !== CR) return this.#refuse(Scan.malformed, 'the status code is not three digits');
    this.targetStart = p;
    if (this.#reached > p) p = this.#reached;
    while (p < end && fieldValue[bytes[p]] !== 0) p++;
    this.#reached = p;
    this.targetEnd = p;
    return this.#endOfStartLine(p, end);
  }

  /** One past `HTTP/1.0` or `HTTP/1.1` at `p`; −1 with the reason in `#versionResult`. */
  #version(p: number, end: number): number {
    const { bytes } = this;
    for (let i = 0; i < HTTP_1.length; i++, p++) {
      if (p >= end) return this.#noVersion(Scan.incomplete, '');
      if (bytes[p] !== HTTP_1[i]) return this.#noVersion(i === MAJOR && isDigit(bytes[p]) ? Scan.versionUnsupported : Scan.malformed);
    }
    if (p >= end) return this.#noVersion(Scan.incomplete, '');
    const minor = bytes[p] - 0x30;
    if (minor !== 0 && minor !== 1) return this.#noVersion(isDigit(bytes[p]) ? Scan.versionUnsupported : Scan.malformed);
    this.minorVersion = minor;
    return p + 1;
  }

  #noVersion(result: ScanResult, fault = 'the version is neither HTTP/1.1 nor HTTP/1.0'): number {
    this.#versionResult = result;
    this.fault = fault;
    return -1;
  }

  #endOfStartLine(p: number, end: number): ScanResult {
    if (p >= end) return Scan.incomplete;
    if (this.bytes[p] !== CR) return this.#refuse(Scan.malformed, 'the start line does not end in CR LF');
    if (p + 1 >= end) return Scan.incomplete;
    if (this.bytes[p + 1] !== LF) return this.#refuse(Scan.malformed, 'a CR that no LF follows');
    this.fieldsStart = p + 2;
    this.#next = p + 2;
    this.#reached = p + 2;
    this.#startLineDone = true;
    return Scan.complete;
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
          if (bytes[p + 1] !== LF) return this.#refuse(Scan.malformed, 'a CR that no LF follows');
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
        if (bytes[p] !== COLON || p === nameStart) return this.#refuse(Scan.malformed, this.#nameFault(bytes[p], p === nameStart));
        nameEnd = p++;
      }
      while (p < end && fieldValue[bytes[p]] !== 0) p++;
      if (p >= end) return this.#stop(nameStart, p, hash, nameEnd);
      if (bytes[p] !== CR)
        return this.#refuse(Scan.malformed, bytes[p] === LF ? 'a field line ends in a bare LF' : 'a control character in a field value');
      if (p + 1 >= end) return this.#stop(nameStart, p, hash, nameEnd);
      if (bytes[p + 1] !== LF) return this.#refuse(Scan.malformed, 'a CR that no LF follows');
      let valueStart = nameEnd + 1;
      while (valueStart < p && (bytes[valueStart] === SPACE || bytes[valueStart] === TAB)) valueStart++;
      let valueEnd = p;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--;
      p += 2;
      const index = this.count;
      if (index === this.#limits.count) return this.#refuse(Scan.tooLarge, `more than ${this.#limits.count} header fields`);
      const id = lookUpField(bytes, nameStart, nameEnd, hash);
      this.nameStart[index] = nameStart;
      this.nameEnd[index] = nameEnd;
      this.valueStart[index] = valueStart;
      this.valueEnd[index] = valueEnd;
      this.lineEnd[index] = p;
      this.id[index] = id;
      this.count = index + 1;
      if (id !== 0 && id <= LAST_FRAMING_FIELD) {
        const result = this.#noteFraming(id, valueStart, valueEnd);
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

  #nameFault(byte: number, empty: boolean): string {
    if (empty && (byte === SPACE || byte === TAB)) return 'a field line is folded over two lines';
    if (byte === SPACE || byte === TAB) return 'white space between a field name and its colon';
    if (byte === LF || byte === CR) return 'a line without a colon';
    return empty ? 'a field without a name' : 'a character in a field name that may not be there';
  }

  /** Reads the few fields that decide where a message ends and who it is for. */
  #noteFraming(id: number, start: number, end: number): ScanResult {
    switch (id) {
      case Field.host:
        this.hosts++;
        return Scan.complete;
      case Field.contentLength:
        return this.#noteContentLength(start, end);
      case Field.transferEncoding:
        if (this.chunked) return this.#refuse(Scan.ambiguous, 'more than one Transfer-Encoding field');
        if (!this.#valueIs(CHUNKED, start, end) || this.#tabBehind(end))
          return this.#refuse(Scan.ambiguous, 'a Transfer-Encoding other than chunked');
        if (this.minorVersion === 0) return this.#refuse(Scan.ambiguous, 'Transfer-Encoding in an HTTP/1.0 message');
        if (this.contentLength >= 0) return this.#refuse(Scan.ambiguous, 'both Content-Length and Transfer-Encoding');
        this.chunked = true;
        return Scan.complete;
      case Field.connection:
        this.#noteConnection(start, end);
        return Scan.complete;
      case Field.upgrade:
        this.upgradeWebSocket = this.#valueIs(WEBSOCKET, start, end);
        return Scan.complete;
      default:
        this.expectsContinue = this.#valueIs(HUNDRED_CONTINUE, start, end);
        return Scan.complete;
    }
  }

  #noteContentLength(start: number, end: number): ScanResult {
    if (this.contentLength >= 0) return this.#refuse(Scan.ambiguous, 'more than one Content-Length field');
    if (this.chunked) return this.#refuse(Scan.ambiguous, 'both Content-Length and Transfer-Encoding');
    if (start === end || end - start > LONGEST_LENGTH) return this.#refuse(Scan.ambiguous, 'Content-Length is empty or has more than 15 digits');
    if (this.#tabBehind(end)) return this.#refuse(Scan.ambiguous, 'a tab behind Content-Length');
    let length = 0;
    for (let p = start; p < end; p++) {
      const digit = this.bytes[p] - 0x30;
      if (digit < 0 || digit > 9) return this.#refuse(Scan.ambiguous, 'Content-Length is not one decimal number');
      length = length * 10 + digit;
    }
    this.contentLength = length;
    return Scan.complete;
  }

  /** Readers differ about a tab behind a value that frames; a space they all take away (RFC 9110 §5.5). */
  #tabBehind(p: number): boolean {
    while (this.bytes[p] === SPACE) p++;
    return this.bytes[p] === TAB;
  }

  #noteConnection(start: number, end: number): void {
    for (let p = start; p < end; ) {
      let optionEnd = p;
      while (optionEnd < end && this.bytes[optionEnd] !== 0x2c) optionEnd++;
      let from = p;
      let to = optionEnd;
      while (from < to && (this.bytes[from] === SPACE || this.bytes[from] === TAB)) from++;
      while (to > from && (this.bytes[to - 1] === SPACE || this.bytes[to - 1] === TAB)) to--;
      if (this.#valueIs(CLOSE, from, to)) this.connectionClose = true;
      else if (this.#valueIs(KEEP_ALIVE, from, to)) this.connectionKeepAlive = true;
      else if (this.#valueIs(UPGRADE, from, to)) this.connectionUpgrade = true;
      else if (from < to) this.nominatesFields = true;
      p = optionEnd + 1;
    }
  }

  #valueIs(expected: Buffer, start: number, end: number): boolean {
    if (end - start !== expected.length) return false;
    for (let i = 0; i < expected.length; i++) if (lowerToken[this.bytes[start + i]] !== expected[i]) return false;
    return true;
  }

  /** Bytes beyond the size limit are not looked at: however much of a head comes at once, it is refused for the same reason. */
  #bound(end: number): number {
    return Math.min(end, this.start + this.#limits.size);
  }

  #within(result: ScanResult, bound: number, end: number): ScanResult {
    if (result !== Scan.incomplete || bound === end) return result;
    return this.#refuse(Scan.tooLarge, `the head is larger than ${this.#limits.size} bytes`);
  }

  #refuse<R extends ScanResult>(result: R, fault: string): R {
    this.fault = fault;
    return result;
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

const NOTHING = Buffer.alloc(0);
